import type { Points } from "./points.ts";

/** What brings a class to the middle of the coordinates and to a reach of about 1: x · scale − origin, as float32. */
export interface Frame {
  readonly mean: Float64Array;
  /** A power of two. */
  readonly scale: number;
  /** mean · scale, as precise as is needed: where the middle lies exactly changes no distance. */
  readonly origin: Float32Array;
}

/** float32 holds no larger power of two. */
const LARGEST_SCALE = 2 ** 127;

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
      reach = Math.max(reach, Math.abs(value));
    }
  }
  for (let d = 0; d < dimension; d++) mean[d]! /= Math.max(rows, 1);
  const scale = reach === 0 ? 1 : Math.min(2 ** -(Math.floor(Math.log2(reach)) + 1), LARGEST_SCALE);
  return { mean, scale, origin: Float32Array.from(mean, (value) => value * scale) };
};
