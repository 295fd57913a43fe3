/**
 * Information criteria for the number of clusters (Pelleg & Moore 2000, section 3.2), larger is better.
 *
 * A partition is scored as a mixture of K spherical Gaussians that share one variance, with each of the R
 * points drawn from its own cluster. The maximum-likelihood figures are those of the partition: weights R_k /
 * R, centres, and the per-dimension variance σ² = SSE / (M · (R − K)), unbiased as in the source. Free
 * parameters: K − 1 weights, K · M coordinates, one variance: p = K · (M + 1). The penalty is counted once.
 */

export interface Partition {
  /** Points per cluster, none of them 0. */
  readonly sizes: ArrayLike<number>;
  /** Sum over all points of the squared Euclidean distance to their cluster's centre. */
  readonly sse: number;
  /** M: the nominal dimension of the points, or the effective one (then seldom an integer). */
  readonly dimension: number;
}

export type Criterion = "bic" | "aic";

const rowsOf = ({ sizes }: Partition) => {
  let rows = 0;
  for (let k = 0; k < sizes.length; k++) rows += sizes[k]!;
  return rows;
};

/**
 * Log-likelihood of the partition, in nats. Infinity when the clusters have no spread at all; −Infinity when
 * no degree of freedom is left to estimate it (as many clusters as points, or more).
 */
export const logLikelihood = (partition: Partition): number => {
  const { sizes, sse, dimension } = partition;
  const rows = rowsOf(partition);
  const freedom = dimension * (rows - sizes.length);
  if (freedom <= 0) return -Infinity;
  const variance = sse / freedom;
  if (variance === 0) return Infinity;
  let weights = 0;
  for (let k = 0; k < sizes.length; k++) weights += sizes[k]! * Math.log(sizes[k]! / rows);
  return weights - rows * dimension / 2 * Math.log(2 * Math.PI * variance) - freedom / 2;
};

/** p = K · (M + 1) */
export const freeParameters = ({ sizes, dimension }: Partition): number => sizes.length * (dimension + 1);

/** Schwarz: ln L − p/2 · ln R */
export const bic = (partition: Partition): number =>
  logLikelihood(partition) - freeParameters(partition) / 2 * Math.log(rowsOf(partition));

/** Akaike: ln L − p */
export const aic = (partition: Partition): number => logLikelihood(partition) - freeParameters(partition);

export const informationCriteria: Record<Criterion, (partition: Partition) => number> = { bic, aic };
