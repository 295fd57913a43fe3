import type { Points } from "./points.ts";

/** What brings a class to the middle of the coordinates and to a reach of about 1: (x − mean) · scale. */
export interface Frame {
  readonly mean: Float64Array;
  readonly scale: number;
}

/**
 * All computations run in float32 in this frame: without an offset that eats the digits, and without squares
 * that overflow or vanish. Equal rows stay equal, and the scale, a power of two, loses nothing.
 */
export const frameOf = ({ values, rows, dimension }: Points): Frame => {
  const mean = new Float64Array(dimension);
  let reach = 0;
  for (let start = 0; start < values.length; start += dimension) {
    for (let d = 0; d < dimension; d++) {
      const value = values[start + d]!;
      mean[d]! += value;
      if (value > reach) reach = value;
      else if (-value > reach) reach = -value;
    }
  }
  for (let d = 0; d < dimension; d++) mean[d]! /= Math.max(rows, 1);
  return { mean, scale: reach === 0 ? 1 : 2 ** -(Math.floor(Math.log2(reach)) + 1) };
};
