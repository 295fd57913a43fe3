import type { EventOf, Metrics, Predictions, RunSpec } from "@subtaxa/contracts";
import { confusionOf, falseNegativesOf, meanMetrics, metricsOf } from "@subtaxa/metrics";

/** How a fold did on one part of its images: what `epoch.validated` and `fold.completed` say of it. */
export type Scores = Pick<EventOf<"epoch.validated">, "loss" | "metrics" | "confusion" | "falseNegatives">;

/** Smallest normal 32-bit float: a probability that underflowed to 0 costs 87.3, not infinity. */
const smallest = 2 ** -126;

/** Mean cross-entropy in nats over the original classes, and metrics. Throws `RangeError` where there is no image. */
export const scoresOf = (predictions: Predictions): Scores => {
  const { classes, probability } = predictions;
  const images = predictions.true.length;
  if (images === 0) throw new RangeError("no image to score");
  const confusion = confusionOf(predictions.true, predictions.predicted, classes);
  let loss = 0;
  for (let i = 0; i < images; i++) {
    loss -= Math.log(Math.max(probability[i * classes + predictions.true[i]!]!, smallest));
  }
  return {
    loss: loss / images,
    metrics: metricsOf(confusion),
    confusion,
    falseNegatives: falseNegativesOf(confusion),
  };
};

/**
 * The run's metrics, once every fold has been scored: their mean. Undefined while one is missing; a fold that was
 * completed twice counts once.
 */
export const joinFolds = (
  spec: Pick<RunSpec, "folds">,
  completed: readonly EventOf<"fold.completed">[],
): Metrics | undefined => {
  const folds = new Map(completed.toReversed().map(({ fold, metrics }) => [fold, metrics]));
  return folds.size < spec.folds ? undefined : meanMetrics([...folds.values()]);
};
