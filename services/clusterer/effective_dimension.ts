import { frameOf } from "./frame.ts";
import { memory, products } from "./kernels.wasm";
import { reserve } from "./memory.ts";
import type { Points } from "./points.ts";

/** Points taken in one go, so that they stay in the processor's cache. */
const CHUNK = 512;

/**
 * Participation ratio of the covariance spectrum, (Σλ)² / Σλ²: 1 when the points vary along a line, the nominal dimension when they
 * vary alike in every direction. As Σλ = tr C and Σλ² = ‖C‖²_F, no eigenvalue is computed. 1 for points without any spread.
 */
export const effectiveDimension = (points: Points): number => {
  const { values, rows, dimension } = points;
  const { mean, scale } = frameOf(points);
  const padded = Math.ceil(dimension / 4) * 4;
  const bytes = CHUNK * 4;
  const out = padded * bytes;
  reserve(out + padded * 4);
  // Transposed: row d holds dimension d of the chunk's points, zero where there is no point.
  const chunk = new Float32Array(memory.buffer, 0, padded * CHUNK);
  const inner = new Float32Array(memory.buffer, out, padded);
  chunk.fill(0);
  const scatter = new Float64Array(dimension * dimension);
  for (let first = 0; first < rows; first += CHUNK) {
    const count = Math.min(CHUNK, rows - first);
    if (count < CHUNK) chunk.fill(0);
    for (let i = 0; i < count; i++) {
      const start = (first + i) * dimension;
      for (let d = 0; d < dimension; d++) chunk[d * CHUNK + i] = (values[start + d]! - mean[d]!) * scale;
    }
    for (let d = 0; d < dimension; d++) {
      const from = d & ~3;
      products(from * bytes, padded - from, bytes, d * bytes, out);
      for (let e = d; e < dimension; e++) scatter[d * dimension + e]! += inner[e - from]!;
    }
  }
  let trace = 0;
  let squares = 0;
  for (let d = 0; d < dimension; d++) {
    const variance = scatter[d * dimension + d]!;
    trace += variance;
    squares += variance * variance;
    for (let e = d + 1; e < dimension; e++) squares += 2 * scatter[d * dimension + e]! ** 2;
  }
  return trace === 0 ? 1 : trace * trace / squares;
};
