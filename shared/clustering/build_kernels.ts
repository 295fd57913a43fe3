import wabt from "wabt";

const source = new URL("./kernels.wat", import.meta.url);

/** The bytes of kernels.wasm, assembled from kernels.wat. */
export const assembleKernels = async (): Promise<Uint8Array> => {
  const assembler = await wabt();
  const module = assembler.parseWat("kernels.wat", await Deno.readTextFile(source), { simd: true });
  const bytes = Uint8Array.from(module.toBinary({}).buffer);
  module.destroy();
  return bytes;
};

if (import.meta.main) {
  await Deno.writeFile(new URL("./kernels.wasm", import.meta.url), await assembleKernels());
}
