import { random } from "@subtaxa/random";
import { expect } from "expect";
import { assembleKernels } from "./build_kernels.ts";
import { accumulate, distance, distances, memory, products, scatter } from "./kernels.wasm";
import { reserve } from "./memory.ts";

Deno.test("kernels.wasm is what kernels.wat says (else run build_kernels.ts)", async () => {
  const committed = await Deno.readFile(new URL("./kernels.wasm", import.meta.url));
  expect(await assembleKernels()).toEqual(committed);
});

Deno.test("kernels agree with plain loops", () => {
  const [rows, width] = [12, 48];
  const bytes = width * 4;
  const [vectorAt, outAt, sumAt, matrixAt] = [
    rows * bytes,
    (rows + 1) * bytes,
    (rows + 2) * bytes,
    64 * bytes,
  ];
  reserve(matrixAt + width * bytes);
  const source = random(1);
  const matrix = new Float32Array(memory.buffer, 0, rows * width).map(() => source.normal());
  new Float32Array(memory.buffer, 0).set(matrix);
  const vector = Float32Array.from({ length: width }, () => source.normal());
  new Float32Array(memory.buffer, vectorAt).set(vector);
  const out = new Float32Array(memory.buffer, outAt, rows);
  const row = (i: number) => Array.from(matrix.subarray(i * width, (i + 1) * width));
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const plainDistances = Array.from(
    { length: rows },
    (_, i) => sum(row(i).map((x, d) => (x - vector[d]!) ** 2)),
  );

  distances(0, rows, bytes, vectorAt, outAt);
  for (let i = 0; i < rows; i++) expect(out[i]).toBeCloseTo(plainDistances[i]!, 3);

  products(0, rows, bytes, vectorAt, outAt);
  for (let i = 0; i < rows; i++) expect(out[i]).toBeCloseTo(sum(row(i).map((x, d) => x * vector[d]!)), 4);

  // This one takes four steps at a time: 64 bytes.
  for (let i = 0; i < rows; i++) {
    expect(distance(i * bytes, vectorAt, bytes)).toBeCloseTo(plainDistances[i]!, 3);
  }

  const sums = new Float64Array(memory.buffer, sumAt, width).fill(0);
  for (let i = 0; i < rows; i++) accumulate(sumAt, i * bytes, bytes, i % 2 === 0 ? 1 : -1);
  for (let d = 0; d < width; d++) {
    expect(sums[d]).toBeCloseTo(
      sum(Array.from({ length: rows }, (_, i) => (i % 2 === 0 ? 1 : -1) * row(i)[d]!)),
      12,
    );
  }

  const squares = new Float32Array(memory.buffer, matrixAt, width * width).fill(0);
  scatter(0, rows, bytes, matrixAt);
  for (let d = 0; d < width; d++) {
    for (let e = d; e < width; e++) {
      expect(squares[d * width + e]).toBeCloseTo(
        sum(Array.from({ length: rows }, (_, i) => row(i)[d]! * row(i)[e]!)),
        4,
      );
    }
  }
});
