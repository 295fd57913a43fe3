/** Helpers of the tests of this folder and of the clusterers. */
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { Points } from "./points.ts";

/** Figures of scikit-learn, SciPy and NumPy (scripts/fixtures/clustering.py). */
export { default as fixture } from "./clustering.fixture.json" with { type: "json" };

export const pointsOf = (values: ArrayLike<number>, dimension: number): Points =>
  Result.getOrThrow(Points.of(Float32Array.from(values), dimension));

export interface Planted {
  readonly points: Points;
  readonly labels: Int32Array;
}

/**
 * Gaussian blobs of unit variance in every dimension. Their centres are drawn at random, a distance of `separation`
 * from one another on average; `sizes` are the numbers of points.
 */
export const plantBlobs = (
  seed: number,
  sizes: readonly number[],
  dimension: number,
  separation: number,
): Planted => {
  const source = random(seed, sizes.length, dimension);
  const spread = separation / Math.sqrt(2 * dimension);
  const values: number[] = [];
  const labels: number[] = [];
  sizes.forEach((size, label) => {
    const centre = Array.from({ length: dimension }, () => source.normal() * spread);
    for (let i = 0; i < size; i++) {
      labels.push(label);
      for (const coordinate of centre) values.push(coordinate + source.normal());
    }
  });
  return { points: pointsOf(values, dimension), labels: Int32Array.from(labels) };
};

/** One Gaussian with these variances along the dimensions, about a point at `distance` from the origin. */
export const gaussian = (
  seed: number,
  rows: number,
  variances: readonly number[],
  distance = 0,
): Points => {
  const dimension = variances.length;
  const source = random(seed, rows, dimension);
  const deviations = variances.map(Math.sqrt);
  const direction = variances.map(() => distance === 0 ? 0 : source.normal());
  const length = Math.hypot(...direction) || 1;
  return pointsOf(
    Float32Array.from(
      { length: rows * dimension },
      (_, i) => distance * direction[i % dimension]! / length + source.normal() * deviations[i % dimension]!,
    ),
    dimension,
  );
};

/** Squared Euclidean distance of a row to a row of another matrix, computed plainly. */
export const squaredDistance = (
  a: ArrayLike<number>,
  row: number,
  b: ArrayLike<number>,
  other: number,
  dimension: number,
): number => {
  let sum = 0;
  for (let d = 0; d < dimension; d++) sum += (a[row * dimension + d]! - b[other * dimension + d]!) ** 2;
  return sum;
};

/** Means of the rows of each cluster, computed plainly. */
export const meansOf = (points: Points, assignments: ArrayLike<number>, clusters: number): number[] => {
  const { values, rows, dimension } = points;
  const sums = new Array<number>(clusters * dimension).fill(0);
  const counts = new Array<number>(clusters).fill(0);
  for (let i = 0; i < rows; i++) {
    const cluster = assignments[i]!;
    counts[cluster]!++;
    for (let d = 0; d < dimension; d++) sums[cluster * dimension + d]! += values[i * dimension + d]!;
  }
  return sums.map((sum, i) => sum / counts[Math.floor(i / dimension)]!);
};
