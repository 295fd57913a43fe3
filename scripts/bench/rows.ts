import { random } from "@subtaxa/random";

/** Writes a file of float32 rows: five Gaussian blobs of unit variance, `apart` from one another on average. */
export const writeBlobs = (file: string, rows: number, dimension: number, apart: number): void => {
  const draw = random(1, rows, dimension);
  const spread = apart / Math.sqrt(2 * dimension);
  const centres = Array.from({ length: 5 * dimension }, () => draw.normal() * spread);
  using output = Deno.openSync(file, { write: true, create: true, truncate: true });
  for (let row = 0; row < rows; row++) {
    const values = Float32Array.from(
      { length: dimension },
      (_, d) => centres[(row % 5) * dimension + d]! + draw.normal(),
    );
    output.writeSync(new Uint8Array(values.buffer));
  }
};

/** The rows of such a file in one buffer of their size: `Deno.readFile` takes twice the memory. */
export const readRows = (file: string): Float32Array<ArrayBuffer> => {
  using input = Deno.openSync(file);
  const bytes = new Uint8Array(input.statSync().size);
  for (let at = 0; at < bytes.length;) at += input.readSync(bytes.subarray(at, at + 2 ** 22)) ?? bytes.length;
  return new Float32Array(bytes.buffer);
};
