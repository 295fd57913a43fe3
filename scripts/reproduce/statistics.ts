/** Statistics over the folds of a cross-validation. */

export interface Spread {
  readonly mean: number;
  /** Sample standard deviation (n − 1); undefined for a single value. */
  readonly deviation: number | undefined;
}

/** NaN of no values. */
export const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? NaN : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean and sample standard deviation of at least one value. */
export const spreadOf = (values: readonly number[]): Spread => {
  const mean = meanOf(values);
  if (values.length < 2) return { mean, deviation: undefined };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
};

/** Student's t at 0.975, by degrees of freedom from 1 to 19: a run has at most 20 folds. */
export const student: readonly number[] = [
  ...[12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228],
  ...[2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093],
];

export interface PairedDifference extends Spread {
  readonly folds: number;
  /** In how many folds the first is better, and in how many worse; the others are equal. */
  readonly better: number;
  readonly worse: number;
  /** 95 % confidence interval of the mean; undefined for a single fold. */
  readonly interval: readonly [number, number] | undefined;
}

/**
 * The difference `ours` − `theirs`, paired by fold. The training parts of a cross-validation overlap, so the plain standard
 * error is too small: the variance is corrected as by Nadeau & Bengio (Machine Learning 52, 2003), σ²·(1/k + held-out /
 * training images), where 1/k of the images is held out and 7/8 of the rest is trained on. Throws `RangeError` when the two
 * don't have the same number of folds.
 */
export const pairedDifference = (
  ours: readonly number[],
  theirs: readonly number[],
  { higherIsBetter }: { readonly higherIsBetter: boolean },
): PairedDifference => {
  if (ours.length !== theirs.length) {
    throw new RangeError(`${ours.length} folds can't be paired with ${theirs.length}`);
  }
  const folds = ours.length;
  const differences = ours.map((value, i) => value - theirs[i]!);
  const spread = spreadOf(differences);
  const sign = higherIsBetter ? 1 : -1;
  const half = spread.deviation === undefined
    ? undefined
    : student[folds - 2]! * spread.deviation * Math.sqrt(1 / folds + 8 / (7 * (folds - 1)));
  return {
    ...spread,
    folds,
    better: differences.filter((difference) => sign * difference > 0).length,
    worse: differences.filter((difference) => sign * difference < 0).length,
    interval: half === undefined ? undefined : [spread.mean - half, spread.mean + half],
  };
};
