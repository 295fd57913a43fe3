import { expect } from "expect";
import { assembleKernels } from "./build_kernels.ts";

Deno.test("resample.wasm is what resample.wat says (else run build_kernels.ts)", async () => {
  const committed = await Deno.readFile(new URL("./resample.wasm", import.meta.url));
  expect(await assembleKernels()).toEqual(committed);
});
