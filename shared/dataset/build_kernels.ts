import wabt from "wabt";

const source = new URL("./resample.wat", import.meta.url);

/** The bytes of resample.wasm, assembled from resample.wat. */
export const assembleKernels = async (): Promise<Uint8Array> => {
  const assembler = await wabt();
  const module = assembler.parseWat("resample.wat", await Deno.readTextFile(source), { simd: true });
  const bytes = Uint8Array.from(module.toBinary({}).buffer);
  module.destroy();
  return bytes;
};

if (import.meta.main) {
  await Deno.writeFile(new URL("./resample.wasm", import.meta.url), await assembleKernels());
}
