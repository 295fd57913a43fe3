/**
 * A division scored by neither of the sides that are compared, from its rows (row-major) and every row's cluster alone: the
 * log-likelihood of a mixture of spherical Gaussians with one shared variance, each row drawn from its own cluster, minus
 * K (M + 1) / 2 · ln R (Pelleg & Moore 2000, section 3.2, the penalty counted once). `m` is the nominal or the effective
 * dimension. Computed in double precision.
 */
export const score = (
  { values, dimension }: Rows,
  labels: ArrayLike<number>,
  m: number,
): { readonly clusters: number; readonly bic: number } => {
  const rows = labels.length;
  const clusters = new Map<number, { size: number; readonly centre: Float64Array }>();
  for (let row = 0; row < rows; row++) {
    const label = labels[row]!;
    const cluster = clusters.get(label) ?? { size: 0, centre: new Float64Array(dimension) };
    clusters.set(label, cluster);
    cluster.size++;
    for (let d = 0; d < dimension; d++) cluster.centre[d]! += values[row * dimension + d]!;
  }
  for (const { size, centre } of clusters.values()) centre.forEach((sum, d) => centre[d] = sum / size);
  let squares = 0;
  for (let row = 0; row < rows; row++) {
    const { centre } = clusters.get(labels[row]!)!;
    for (let d = 0; d < dimension; d++) squares += (values[row * dimension + d]! - centre[d]!) ** 2;
  }
  const freedom = m * (rows - clusters.size);
  let logLikelihood = -rows * m / 2 * Math.log(2 * Math.PI * squares / freedom) - freedom / 2;
  for (const { size } of clusters.values()) logLikelihood += size * Math.log(size / rows);
  return {
    clusters: clusters.size,
    bic: logLikelihood - clusters.size * (m + 1) / 2 * Math.log(rows),
  };
};

/** Rows of so many dimensions, one after another. */
export interface Rows {
  readonly values: Float32Array;
  readonly dimension: number;
}

/** The participation ratio of the covariance spectrum, (tr C)² / ‖C‖², of all rows. */
export const effectiveDimension = ({ values, dimension }: Rows): number => {
  const rows = values.length / dimension;
  const mean = new Float64Array(dimension);
  for (let i = 0; i < values.length; i++) mean[i % dimension]! += values[i]! / rows;
  const covariance = new Float64Array(dimension * dimension);
  const centred = new Float64Array(dimension);
  for (let start = 0; start < values.length; start += dimension) {
    for (let d = 0; d < dimension; d++) centred[d] = values[start + d]! - mean[d]!;
    for (let a = 0; a < dimension; a++) {
      const [factor, at] = [centred[a]!, a * dimension];
      for (let b = 0; b < dimension; b++) covariance[at + b]! += factor * centred[b]!;
    }
  }
  let [trace, squares] = [0, 0];
  for (let d = 0; d < dimension; d++) trace += covariance[d * dimension + d]!;
  for (const value of covariance) squares += value * value;
  return trace * trace / squares;
};
