/**
 * Algorithm 1 of the paper, "Training with clustering": its per-class step, in its order and words. Around
 * it, one service does each of the other lines:
 *
 *     Initialise number of clusters for each class with 1 and flag for each class with 0.
 *     while Not Converged do
 *         Train the encoder network                                           trainer
 *         Perform validation and get the normalised confusion matrix          evaluator
 *         for each class do: increase or decrease num-allowed-clusters        here
 *         Extract features of the images in the training data                 extractor
 *         for each class do: generate the clusters and pseudo-labels          X-Means (xmeans.ts)
 *
 * The paper extracts before it adapts; the other way round gives the same and spares the features of classes
 * that may have one cluster only.
 */
import { ClusteringError } from "@subtaxa/clustering";

/** What Algorithm 1 remembers of a class. */
export interface AllowedClusters {
  /** num-allowed-clusters: upper limit for X-Means, 1 … max-clusters. */
  readonly allowedClusters: number;
  /** 0: on the way up to max-clusters. 1: on the way down to 1. */
  readonly flag: 0 | 1;
}

export interface AdaptationSettings {
  /** confusion-threshold: a class with more false negatives is adapted; a fraction. */
  readonly confusionThreshold: number;
  /** max-clusters */
  readonly maxClusters: number;
}

/**
 * One pass over the classes after an epoch's validation. `falseNegatives[i]` is 1 minus the diagonal of class
 * i's row in the row-normalised confusion matrix; a class whose figure is not a number (no validation images)
 * stays as it is. Throws `ClusteringError` when states and false negatives differ in number.
 */
export const adapt = <S extends AllowedClusters>(
  classes: readonly S[],
  falseNegatives: readonly number[],
  { confusionThreshold, maxClusters }: AdaptationSettings,
): S[] => {
  if (classes.length !== falseNegatives.length) {
    throw ClusteringError.of({
      _tag: "Classes",
      states: classes.length,
      falseNegatives: falseNegatives.length,
    });
  }
  return classes.map((state, i) => {
    const falseNegative = falseNegatives[i]!;
    if (falseNegative > confusionThreshold && state.flag === 0) {
      const allowedClusters = Math.min(state.allowedClusters + 1, maxClusters);
      return { ...state, allowedClusters, flag: allowedClusters === maxClusters ? 1 : 0 };
    } else if (falseNegative > confusionThreshold && state.flag === 1) {
      const allowedClusters = Math.max(state.allowedClusters - 1, 1);
      return { ...state, allowedClusters, flag: allowedClusters === 1 ? 0 : 1 };
    }
    return state;
  });
};
