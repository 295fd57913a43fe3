import type { Points } from "./points.ts";

/** Where a class lies in the embedding space, and how far it reaches. */
export interface Frame {
  readonly mean: Float64Array;
  /** A power of two that brings the largest deviation from the mean into [1/2, 1); 1 if there is none. */
  readonly scale: number;
}

/**
 * Distances are computed in float32 on (x − mean) · scale: without an offset that eats the digits, and without
 * squares that overflow or vanish. Equal rows stay equal, and a power of two loses nothing.
 */
export const frameOf = ({ values, rows, dimension }: Points): Frame => {
  const mean = new Float64Array(dimension);
  for (let start = 0; start < values.length; start += dimension) {
    for (let d = 0; d < dimension; d++) mean[d]! += values[start + d]!;
  }
  for (let d = 0; d < dimension; d++) mean[d]! /= Math.max(rows, 1);
  let reach = 0;
  for (let start = 0; start < values.length; start += dimension) {
    for (let d = 0; d < dimension; d++) reach = Math.max(reach, Math.abs(values[start + d]! - mean[d]!));
  }
  return { mean, scale: reach === 0 ? 1 : 2 ** -(Math.floor(Math.log2(reach)) + 1) };
};
