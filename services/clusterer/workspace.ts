import type { Frame } from "./frame.ts";
import { frameOf } from "./frame.ts";
import { accumulate, distance, distances, memory } from "./kernels.wasm";
import { reserve } from "./memory.ts";
import type { Points } from "./points.ts";

/**
 * The points of one class and up to `slots` centres in the kernels' memory, in the frame of `frameOf`. All distances
 * here are squared, Euclidean and in that frame. Valid until the next workspace is made.
 */
export class Workspace {
  readonly rows: number;
  readonly dimension: number;
  readonly frame: Frame;
  /** Floats from one row to the next; the rest is zero. */
  private readonly stride: number;
  private readonly bytes: number;
  private readonly padded: number;
  private readonly centresAt: number;
  private readonly sumsAt: number;
  private readonly distancesAt: number;
  private readonly points: Float32Array;
  private readonly centres: Float32Array;
  private readonly sums: Float64Array;
  private readonly distances: Float32Array;

  constructor(points: Points, readonly slots: number) {
    const { values, rows, dimension } = points;
    this.rows = rows;
    this.dimension = dimension;
    this.frame = frameOf(points);
    this.stride = Math.ceil(dimension / 16) * 16;
    this.bytes = this.stride * 4;
    this.padded = Math.ceil(rows / 4) * 4;
    this.centresAt = this.padded * this.bytes;
    this.sumsAt = this.centresAt + slots * this.bytes;
    this.distancesAt = this.sumsAt + 2 * slots * this.bytes;
    reserve(this.distancesAt + this.padded * 4);
    this.points = new Float32Array(memory.buffer, 0, this.padded * this.stride);
    this.centres = new Float32Array(memory.buffer, this.centresAt, slots * this.stride);
    this.sums = new Float64Array(memory.buffer, this.sumsAt, slots * this.stride);
    this.distances = new Float32Array(memory.buffer, this.distancesAt, this.padded);

    const { mean, scale } = this.frame;
    this.points.fill(0);
    this.centres.fill(0);
    for (let i = 0; i < rows; i++) {
      const from = i * dimension;
      const to = i * this.stride;
      for (let d = 0; d < dimension; d++) this.points[to + d] = (values[from + d]! - mean[d]!) * scale;
    }
  }

  /** Distance of one point to one centre. */
  distance(row: number, slot: number): number {
    return distance(row * this.bytes, this.centresAt + slot * this.bytes, this.bytes);
  }

  /** Distances of all points to one centre; overwritten by the next call of this or `distancesToRow`. */
  distancesToCentre(slot: number): Float32Array {
    distances(0, this.padded, this.bytes, this.centresAt + slot * this.bytes, this.distancesAt);
    return this.distances;
  }

  /** Distances of all points to one of them; overwritten by the next call of this or `distancesToCentre`. */
  distancesToRow(row: number): Float32Array {
    distances(0, this.padded, this.bytes, row * this.bytes, this.distancesAt);
    return this.distances;
  }

  placeCentreAtRow(slot: number, row: number): void {
    this.centres.set(this.points.subarray(row * this.stride, (row + 1) * this.stride), slot * this.stride);
  }

  /** Starts the centres' sums from nothing. */
  clearSums(): void {
    this.sums.fill(0);
  }

  /** Adds a point to a centre's sum (`weight` 1) or takes it out again (−1). */
  accumulate(slot: number, row: number, weight: number): void {
    accumulate(this.sumsAt + slot * 2 * this.bytes, row * this.bytes, this.bytes, weight);
  }

  /** Moves a centre to the mean of its `count` points and returns how far it went (Euclidean, not squared). */
  moveCentre(slot: number, count: number): number {
    let squares = 0;
    for (let i = slot * this.stride, end = i + this.stride; i < end; i++) {
      const before = this.centres[i]!;
      this.centres[i] = this.sums[i]! / count;
      squares += (this.centres[i]! - before) ** 2;
    }
    return Math.sqrt(squares);
  }

  /** Copies of the first `count` centres in this frame, to be put back with `restoreCentres`. */
  saveCentres(count: number): Float32Array {
    return this.centres.slice(0, count * this.stride);
  }

  restoreCentres(saved: Float32Array): void {
    this.centres.set(saved);
  }

  /** The saved centres in the coordinates of the points as they were given, row-major. */
  centresOf(saved: Float32Array): Float64Array {
    const { mean, scale } = this.frame;
    const count = saved.length / this.stride;
    const centres = new Float64Array(count * this.dimension);
    for (let slot = 0; slot < count; slot++) {
      for (let d = 0; d < this.dimension; d++) {
        centres[slot * this.dimension + d] = saved[slot * this.stride + d]! / scale + mean[d]!;
      }
    }
    return centres;
  }
}
