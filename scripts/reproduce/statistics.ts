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

/**
 * The probability that |T| ≤ t, for Student's T with a whole number of degrees of freedom: a finite sum (Abramowitz &
 * Stegun 1964, 26.7.3 and 26.7.4).
 */
const within = (t: number, freedom: number): number => {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const odd = freedom % 2 === 1;
  let term = odd ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let i = odd ? 3 : 2; i < freedom; i += 2) {
    term *= Math.cos(angle) ** 2 * (i - 1) / i;
    sum += term;
  }
  return odd ? 2 / Math.PI * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
};

/** Student's t below which lies this probability, at least a half; `freedom`: degrees of freedom, from 1 on. */
export const studentQuantile = (probability: number, freedom: number): number => {
  let [low, high] = [0, 1];
  while (within(high, freedom) < 2 * probability - 1) high *= 2;
  while (true) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (within(middle, freedom) < 2 * probability - 1) low = middle;
    else high = middle;
  }
};

/** The probability of at least so many heads among the tosses of a fair coin. */
export const headsAtLeast = (heads: number, tosses: number): number => {
  let [ways, sum] = [1, 0];
  for (let k = 0; k <= tosses; k++) {
    if (k >= heads) sum += ways;
    ways = ways * (tosses - k) / (k + 1);
  }
  return sum / 2 ** tosses;
};

export interface PairedDifference extends Spread {
  readonly folds: number;
  /** In how many folds the first is better, and in how many worse; the others are equal. */
  readonly better: number;
  readonly worse: number;
  /** Of the mean; undefined for a single fold. */
  readonly standardError: number | undefined;
  /** 95 % confidence interval of the mean, of this difference alone; undefined for a single fold. */
  readonly interval: readonly [number, number] | undefined;
}

/** Bonferroni's: with this confidence for each, as many intervals as there are `tests` hold together with 95 %. */
export const confidenceOf = (tests: number): number => 1 - 0.05 / tests;

/** The confidence interval of the mean, of one difference among so many that are tested; undefined for a single fold. */
export const intervalOf = (
  { mean, standardError, folds }: Pick<PairedDifference, "mean" | "standardError" | "folds">,
  tests: number,
): readonly [number, number] | undefined => {
  if (standardError === undefined) return undefined;
  const half = studentQuantile((1 + confidenceOf(tests)) / 2, folds - 1) * standardError;
  return [mean - half, mean + half];
};

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
  const standardError = spread.deviation === undefined
    ? undefined
    : spread.deviation * Math.sqrt(1 / folds + 8 / (7 * (folds - 1)));
  return {
    ...spread,
    folds,
    better: differences.filter((difference) => sign * difference > 0).length,
    worse: differences.filter((difference) => sign * difference < 0).length,
    standardError,
    interval: intervalOf({ mean: spread.mean, standardError, folds }, 1),
  };
};
