import wabt from "wabt";

/** The modules of this folder: `<name>.wat` as text, `<name>.wasm` assembled. */
export const modules = ["batch", "resample"] as const;
type Module = (typeof modules)[number];

const urlOf = (name: Module, form: "wat" | "wasm") => new URL(`./${name}.${form}`, import.meta.url);

/** The bytes of a module as they are committed. */
export const committed = (name: Module): Promise<Uint8Array> => Deno.readFile(urlOf(name, "wasm"));

/** The bytes that a module's text stands for. */
export const assemble = async (name: Module): Promise<Uint8Array> => {
  const assembler = await wabt();
  const module = assembler.parseWat(`${name}.wat`, await Deno.readTextFile(urlOf(name, "wat")), {
    simd: true,
  });
  const bytes = Uint8Array.from(module.toBinary({}).buffer);
  module.destroy();
  return bytes;
};

if (import.meta.main) {
  for (const name of modules) await Deno.writeFile(urlOf(name, "wasm"), await assemble(name));
}
