import { expect } from "expect";
import { assemble, committed, modules } from "./build_kernels.ts";

for (const name of modules) {
  Deno.test(`${name}.wasm is what ${name}.wat says (else run build_kernels.ts)`, async () => {
    expect(await assemble(name)).toEqual(await committed(name));
  });
}
