import type { Random } from "@subtaxa/random";
import { Result } from "effect";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { frameOf } from "./frame.ts";
import { Points } from "./points.ts";
import type { Divide, Division } from "./relabel.ts";

/** Rows that the axes are taken from, at most: every second, third … row of a larger class. */
const SAMPLE = 16_384;

/** Σ (x − mean)(x − mean)ᵀ over the rows of the sample, in double precision. */
const scatterOf = ({ values, rows, dimension }: Points, mean: Float64Array): Matrix => {
  const sums = new Float64Array(dimension * dimension);
  const centred = new Float64Array(dimension);
  const step = Math.ceil(rows / SAMPLE);
  for (let row = 0; row < rows; row += step) {
    for (let d = 0; d < dimension; d++) centred[d] = values[row * dimension + d]! - mean[d]!;
    for (let d = 0; d < dimension; d++) {
      const value = centred[d]!;
      for (let e = 0; e <= d; e++) sums[d * dimension + e]! += value * centred[e]!;
    }
  }
  const matrix = Matrix.zeros(dimension, dimension);
  for (let d = 0; d < dimension; d++) {
    for (let e = 0; e <= d; e++) {
      matrix.set(d, e, sums[d * dimension + e]!);
      matrix.set(e, d, sums[d * dimension + e]!);
    }
  }
  return matrix;
};

/**
 * The points along their first `count` principal axes, rows × min(count, dimension), by decreasing variance; the sign of an
 * axis means nothing. Neither whitened nor scaled to length 1.
 */
export const principalComponents = (points: Points, count: number): Points => {
  const { values, rows, dimension } = points;
  const kept = Math.min(count, dimension);
  const { mean } = frameOf(points);
  const { eigenvectorMatrix } = new EigenvalueDecomposition(scatterOf(points, mean), {
    assumeSymmetric: true,
  });
  const projected = new Float32Array(rows * kept);
  for (let k = 0; k < kept; k++) {
    const axis = Float64Array.from(eigenvectorMatrix.getColumn(dimension - 1 - k)); // they come by increasing variance
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let d = 0; d < dimension; d++) sum += axis[d]! * (values[row * dimension + d]! - mean[d]!);
      projected[row * kept + k] = sum;
    }
  }
  return Result.getOrThrow(Points.of(projected, kept)); // what is finite stays so
};

/** Euclidean distances of the rows to the mean of their cluster's. */
const distancesToMeans = ({ values, rows, dimension }: Points, { clusters, assignments }: Division) => {
  const means = new Float64Array(clusters * dimension);
  const sizes = new Float64Array(clusters);
  for (let row = 0; row < rows; row++) {
    const cluster = assignments[row]!;
    sizes[cluster]!++;
    for (let d = 0; d < dimension; d++) means[cluster * dimension + d]! += values[row * dimension + d]!;
  }
  return Float32Array.from({ length: rows }, (_, row) => {
    const cluster = assignments[row]!;
    let squares = 0;
    for (let d = 0; d < dimension; d++) {
      const difference = values[row * dimension + d]! - means[cluster * dimension + d]! / sizes[cluster]!;
      squares += difference * difference;
    }
    return Math.sqrt(squares);
  });
};

/**
 * The same way of dividing, but by the class's first `dimensions` principal components, which hold what K-Means tells clusters
 * apart by (Ding & He 2004). Distances are those between the points as they are. `dimensions` undefined: `divide` itself.
 *
 * The components are not whitened: DeepCluster (Caron et al. 2018) whitens those of all its images together, with a number of
 * clusters that is given. Within one class, whitening would give the direction between two groups the variance of any other:
 * of M of them, groups however far apart explain one, and no information criterion for spherical clusters finds them.
 */
export const alongPrincipalAxes = (dimensions: number | undefined, divide: Divide): Divide =>
  dimensions === undefined ? divide : (points: Points, most: number, random: Random) => {
    if (points.rows === 0) return divide(points, most, random);
    const division = divide(principalComponents(points, dimensions), most, random);
    return { ...division, distances: distancesToMeans(points, division) };
  };
