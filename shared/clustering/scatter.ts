import type { Random } from "@subtaxa/random";
import { memory, products } from "./kernels.wasm";

/**
 * Σ x xᵀ over a workspace's points, which for centred points is their covariance matrix but for a factor:
 * width × width, symmetric, zero beyond the points' dimension, in the kernels' memory from byte `at` on.
 */
export interface Scatter {
  readonly matrix: Float32Array;
  readonly width: number;
  readonly at: number;
}

/**
 * Effective dimension: participation ratio of the covariance spectrum, (Σλ)² / Σλ². 1 when the points vary
 * along a line, the nominal dimension when they vary alike in every direction. As Σλ = tr C and Σλ² = ‖C‖²_F,
 * no eigenvalue is computed. 1 for points without any spread.
 */
export const effectiveDimension = ({ matrix, width }: Scatter): number => {
  let trace = 0;
  let squares = 0;
  for (let d = 0; d < width; d++) trace += matrix[d * width + d]!;
  for (let i = 0; i < matrix.length; i++) squares += matrix[i]! * matrix[i]!;
  return trace === 0 ? 1 : trace * trace / squares;
};

/** Enough for axes that stand out; the others need no precision. */
const ITERATIONS = 6;

/**
 * About the `count` directions in which the points spread most, by orthogonal iteration: count × width,
 * row-major, orthonormal (rows of zeros where the points spread in fewer directions).
 */
export const principalAxes = ({ width, at }: Scatter, count: number, random: Random): Float32Array => {
  const bytes = width * 4;
  const axisAt = at + width * bytes;
  const axis = new Float32Array(memory.buffer, axisAt, width);
  const product = new Float32Array(memory.buffer, axisAt + bytes, width);
  const axes = Float32Array.from({ length: count * width }, () => random.next() - 0.5);
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    for (let start = 0; start < axes.length; start += width) {
      axis.set(axes.subarray(start, start + width));
      products(at, width, bytes, axisAt, axisAt + bytes);
      axes.set(product, start);
    }
    orthonormalise(axes, width);
  }
  return axes;
};

/** Bytes that a scatter matrix takes, with the scratch of `principalAxes`. */
export const scatterSize = (width: number): number => (width + 2) * width * 4;

/** Gram–Schmidt, row by row; what hardly differs from the rows before it becomes zero. */
const orthonormalise = (rows: Float32Array, width: number): void => {
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    const before = norm(row);
    for (let other = 0; other < start; other += width) {
      let inner = 0;
      for (let d = 0; d < width; d++) inner += row[d]! * rows[other + d]!;
      for (let d = 0; d < width; d++) row[d]! -= inner * rows[other + d]!;
    }
    const left = norm(row);
    const factor = left > 1e-5 * before ? 1 / left : 0;
    for (let d = 0; d < width; d++) row[d]! *= factor;
  }
};

const norm = (row: Float32Array) => {
  let squares = 0;
  for (let d = 0; d < row.length; d++) squares += row[d]! ** 2;
  return Math.sqrt(squares);
};
