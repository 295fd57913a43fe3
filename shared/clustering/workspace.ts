import { accumulate, distance, distances, frame, memory, products, scatter } from "./kernels.wasm";
import type { Frame } from "./frame.ts";
import { reserve } from "./memory.ts";
import type { Points } from "./points.ts";
import type { Scatter } from "./scatter.ts";

/**
 * Points and up to `slots` centres in the kernels' memory, from byte `at` on. All distances here are squared,
 * Euclidean and between the points as they were put in. Several workspaces may lie side by side once their
 * memory is reserved as a whole; they are valid until somebody else lays that memory out.
 */
export class Workspace {
  readonly rows: number;
  readonly dimension: number;
  /** Floats from one row to the next (the rest is zero), and bytes. */
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
  /** One row for what the kernels take besides points and centres: a frame's origin, or an axis. */
  private readonly spare: Float32Array;
  private readonly spareAt: number;

  /** Bytes that a workspace takes. */
  static size(rows: number, dimension: number, slots: number): number {
    const padded = Math.ceil(rows / 4) * 4;
    return (padded + 3 * slots + 1) * strideOf(dimension) * 4 + padded * 4;
  }

  /** All points are zero until they are loaded. */
  constructor(
    { rows, dimension }: Pick<Points, "rows" | "dimension">,
    slots: number,
    private readonly at = 0,
  ) {
    this.rows = rows;
    this.dimension = dimension;
    this.stride = strideOf(dimension);
    this.bytes = this.stride * 4;
    this.padded = Math.ceil(rows / 4) * 4;
    this.centresAt = at + this.padded * this.bytes;
    this.sumsAt = this.centresAt + slots * this.bytes;
    this.distancesAt = this.sumsAt + 2 * slots * this.bytes;
    this.spareAt = this.distancesAt + 4 * this.padded;
    reserve(at + Workspace.size(rows, dimension, slots));
    this.points = new Float32Array(memory.buffer, at, this.padded * this.stride).fill(0);
    this.centres = new Float32Array(memory.buffer, this.centresAt, slots * this.stride).fill(0);
    this.sums = new Float64Array(memory.buffer, this.sumsAt, slots * this.stride);
    this.distances = new Float32Array(memory.buffer, this.distancesAt, this.padded);
    this.spare = new Float32Array(memory.buffer, this.spareAt, this.stride).fill(0);
  }

  /** Puts up to `rows` rows in the place of the first points, in a frame if one is given. */
  load(values: Float32Array, inFrame?: Frame): void {
    const { dimension, stride } = this;
    const count = values.length / dimension;
    if (stride === dimension) this.points.set(values);
    else {
      for (let i = 0; i < count; i++) {
        this.points.set(values.subarray(i * dimension, (i + 1) * dimension), i * stride);
      }
    }
    if (!inFrame) return;
    this.spare.set(inFrame.origin);
    frame(this.at, count, this.bytes, this.spareAt, inFrame.scale);
  }

  /** Distance of one point to one centre. */
  distance(row: number, slot: number): number {
    return distance(this.at + row * this.bytes, this.centresAt + slot * this.bytes, this.bytes);
  }

  /** Distances of all points to one of them; overwritten by the next call. */
  distancesToRow(row: number): Float32Array {
    distances(this.at, this.padded, this.bytes, this.at + row * this.bytes, this.distancesAt);
    return this.distances;
  }

  /** Distances of all points to a centre; overwritten by the next call. */
  distancesToCentre(slot: number): Float32Array {
    distances(this.at, this.padded, this.bytes, this.centresAt + slot * this.bytes, this.distancesAt);
    return this.distances;
  }

  /** The nearest of the first `count` centres for as many points as `nearest` takes: squared distances, and their slots. */
  nearestCentres(count: number, nearest: Float32Array, owner: Int32Array): void {
    nearest.set(this.distancesToCentre(0).subarray(0, nearest.length));
    owner.fill(0);
    for (let slot = 1; slot < count; slot++) {
      const distances = this.distancesToCentre(slot);
      for (let i = 0; i < nearest.length; i++) {
        if (distances[i]! >= nearest[i]!) continue;
        nearest[i] = distances[i]!;
        owner[i] = slot;
      }
    }
  }

  /** Scatter matrix of about `most` points, evenly drawn, about the origin, from byte `at` on. */
  scatter(at: number, most: number): Scatter {
    const width = this.stride;
    const matrix = new Float32Array(memory.buffer, at, width * width).fill(0);
    const [fours, wanted] = [this.padded / 4, Math.ceil(most / 4)];
    if (wanted >= fours) scatter(this.at, this.padded, this.bytes, at);
    else {
      for (let i = 0; i < wanted; i++) {
        scatter(this.at + 4 * Math.floor(i * fours / wanted) * this.bytes, 4, this.bytes, at);
      }
    }
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < i; j++) matrix[i * width + j] = matrix[j * width + i]!;
    }
    return { matrix, width, at };
  }

  /** All points along `axes` (count × the scatter matrix's width): rows × count. */
  project(axes: Float32Array): Float32Array {
    const count = axes.length / this.stride;
    const projected = new Float32Array(this.rows * count);
    for (let axis = 0; axis < count; axis++) {
      this.spare.set(axes.subarray(axis * this.stride, (axis + 1) * this.stride));
      products(this.at, this.padded, this.bytes, this.spareAt, this.distancesAt);
      for (let i = 0; i < this.rows; i++) projected[i * count + axis] = this.distances[i]!;
    }
    return projected;
  }

  placeCentre(slot: number, coordinates: ArrayLike<number>): void {
    this.centres.set(coordinates, slot * this.stride);
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
    accumulate(this.sumsAt + slot * 2 * this.bytes, this.at + row * this.bytes, this.bytes, weight);
  }

  /**
   * Moves a centre to the mean of its `count` points and returns how far it went (Euclidean, not squared).
   */
  moveCentre(slot: number, count: number): number {
    let squares = 0;
    for (let i = slot * this.stride, end = i + this.stride; i < end; i++) {
      const before = this.centres[i]!;
      this.centres[i] = this.sums[i]! / count;
      squares += (this.centres[i]! - before) ** 2;
    }
    return Math.sqrt(squares);
  }

  /** The first `count` centres, count × dimension. */
  copyCentres(count: number): Float64Array {
    const copy = new Float64Array(count * this.dimension);
    for (let slot = 0; slot < count; slot++) {
      const start = slot * this.stride;
      copy.set(this.centres.subarray(start, start + this.dimension), slot * this.dimension);
    }
    return copy;
  }
}

/** Floats from one row to the next: whole steps of the kernels. */
export const strideOf = (dimension: number) => Math.ceil(dimension / 16) * 16;
