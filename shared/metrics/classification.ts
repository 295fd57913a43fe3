import type { Metrics } from "@subtaxa/contracts";

/**
 * Metrics of a classifier from its confusion matrix: row = true class, column = predicted class, both over the
 * original classes.
 *
 * A class need not occur in the part that is evaluated. One rule covers every case: a rate whose denominator is zero
 * says nothing about its class.
 * - No true image: its row of the normalised matrix is zeros, its false-negative rate is reported as 0 (nothing was
 *   missed, so Algorithm 1 has no reason to split it) and left out of the false-negative variance; it is no perfect class.
 * - Neither a true nor a predicted image: left out of every average and variance over the classes, as scikit-learn
 *   does by default. A class that occurs in either way counts with precision, recall and F-score 0 where those are
 *   0/0 (`zero_division=0`), so all averages can be recomputed from a table of predictions alone.
 */
export type Confusion = readonly (readonly number[])[];

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => values.length === 0 ? 0 : sum(values) / values.length;
const ratio = (part: number, whole: number) => whole === 0 ? 0 : part / whole;

/** Population variance; 0 for no values. Rounding can't make it negative. */
const variance = (values: readonly number[]) => {
  const centre = mean(values);
  return mean(values.map((value) => (value - centre) ** 2));
};

/**
 * Counts images by true and predicted class; `classes` × `classes`. Throws `RangeError` when the two differ in
 * length or hold something that is no class index.
 */
export const confusionOf = (
  truth: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classes: number,
): number[][] => {
  if (truth.length !== predicted.length) {
    throw new RangeError(`${truth.length} true classes, but ${predicted.length} predicted ones`);
  }
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < truth.length; i++) {
    const row = counts[truth[i]!];
    const column = predicted[i]!;
    if (row === undefined || row[column] === undefined) {
      throw new RangeError(
        `image ${i}: true class ${truth[i]}, predicted ${column}: not below ${classes}`,
      );
    }
    row[column]++;
  }
  return counts;
};

/** Cell-wise sum, for one matrix over all folds. */
export const addConfusions = (matrices: readonly Confusion[]): number[][] =>
  (matrices[0] ?? []).map((row, i) => row.map((_, j) => sum(matrices.map((matrix) => matrix[i]![j]!))));

/** Divides every row by its sum; a row without images stays zeros. */
export const rowNormalise = (confusion: Confusion): number[][] =>
  confusion.map((row) => {
    const images = sum(row);
    return row.map((count) => ratio(count, images));
  });

/** Per class: 1 − diagonal of the row-normalised matrix; 0 for a class without true images. */
export const falseNegativesOf = (confusion: Confusion): number[] =>
  confusion.map((row, i) => {
    const images = sum(row);
    return ratio(images - row[i]!, images);
  });

/** What one class got: counts of images, and rates in [0, 1] with 0/0 = 0. */
export interface ClassScores {
  /** True images, and images predicted to be of this class. */
  readonly support: number;
  readonly predicted: number;
  readonly precision: number;
  readonly recall: number;
  readonly fScore: number;
  readonly falseNegative: number;
}

/** Per class, in the order of the matrix: scikit-learn's `precision_recall_fscore_support(zero_division=0)`. */
export const classScores = (confusion: Confusion): ClassScores[] => {
  const falseNegatives = falseNegativesOf(confusion);
  return confusion.map((row, i) => {
    const support = sum(row);
    const predicted = sum(confusion.map((other) => other[i]!));
    const hits = row[i]!;
    return {
      support,
      predicted,
      precision: ratio(hits, predicted),
      recall: ratio(hits, support),
      fScore: ratio(2 * hits, support + predicted),
      falseNegative: falseNegatives[i]!,
    };
  });
};

/** The metrics of a part of the data; see `Metrics` for each, and above for classes that do not occur. */
export const metricsOf = (confusion: Confusion): Metrics => {
  const normalised = rowNormalise(confusion);
  const images = sum(confusion.map(sum));
  const scores = classScores(confusion);
  const occurring = scores.keys().filter((i) => scores[i]!.support + scores[i]!.predicted > 0).toArray();
  const present = occurring.filter((i) => scores[i]!.support > 0);
  const hits = sum(confusion.map((row, i) => row[i]!));
  const falsePositives = (i: number) => scores[i]!.predicted - confusion[i]![i]!;
  return {
    accuracy: ratio(hits, images),
    precision: mean(occurring.map((i) => scores[i]!.precision)),
    recall: mean(occurring.map((i) => scores[i]!.recall)),
    fScore: mean(occurring.map((i) => scores[i]!.fScore)),
    falseNegativeVariance: variance(present.map((i) => scores[i]!.falseNegative)),
    falsePositiveVariance: variance(
      occurring.map((i) => sum(normalised.map((row, j) => j === i ? 0 : row[i]!))),
    ),
    falsePositiveRateVariance: variance(
      occurring.filter((i) => images > scores[i]!.support)
        .map((i) => falsePositives(i) / (images - scores[i]!.support)),
    ),
    falseDiscoveryRateVariance: variance(occurring.map((i) => 1 - scores[i]!.precision)),
    perfectClasses: present.filter((i) => scores[i]!.falseNegative === 0).length,
  };
};

const metricNames = [
  "accuracy",
  "precision",
  "recall",
  "fScore",
  "falseNegativeVariance",
  "falsePositiveVariance",
  "falsePositiveRateVariance",
  "falseDiscoveryRateVariance",
  "perfectClasses",
] as const satisfies readonly (keyof Metrics)[];

/** Metrics over folds: each one's mean, and its sample standard deviation (undefined for a single fold). */
export interface FoldSummary {
  readonly mean: Record<keyof Metrics, number>;
  readonly deviation: Record<keyof Metrics, number> | undefined;
}

/** Mean and sample standard deviation (n − 1) over at least one fold; throws `RangeError` for none. */
export const summariseFolds = (folds: readonly Metrics[]): FoldSummary => {
  if (folds.length === 0) throw new RangeError("no fold to summarise");
  const over = (statistic: (values: number[]) => number) =>
    Object.fromEntries(
      metricNames.map((name) => [name, statistic(folds.map((metrics) => metrics[name]))]),
    ) as Record<keyof Metrics, number>; // the keys are exactly `metricNames`
  return {
    mean: over(mean),
    deviation: folds.length === 1
      ? undefined
      : over((values) => Math.sqrt(variance(values) * values.length / (values.length - 1))),
  };
};

/** The folds' mean as `Metrics`: the number of perfect classes is rounded to a whole one. */
export const meanMetrics = (folds: readonly Metrics[]): Metrics => {
  const { mean } = summariseFolds(folds);
  return { ...mean, perfectClasses: Math.round(mean.perfectClasses) };
};
