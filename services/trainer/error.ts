import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type TrainingReason =
  /** The loss, or the statistics after the last batch, are no longer finite. */
  | { readonly _tag: "Diverged"; readonly epoch: number; readonly batch: number }
  /** The labels are not those of the fold's training images. */
  | { readonly _tag: "LabelsMismatch"; readonly detail: string }
  /** The caller asked for an early end. */
  | { readonly _tag: "Cancelled" };

/** What can go wrong in an epoch. Never retryable: the same epoch goes the same way again. */
export class TrainingError extends Data.TaggedError("TrainingError")<{
  readonly reason: TrainingReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;

  static diverged(epoch: number, batch: number, learningRate: number): TrainingError {
    return new TrainingError({
      reason: { _tag: "Diverged", epoch, batch },
      message:
        `training diverged in epoch ${epoch}, batch ${batch}: the loss is no longer a finite number. ` +
        `Start the run again with a smaller learningRate (it was ${learningRate}, try ${
          learningRate / 10
        }) ` +
        "or a larger batchSize",
    });
  }

  static labelsMismatch(detail: string): TrainingError {
    return new TrainingError({
      reason: { _tag: "LabelsMismatch", detail },
      message: `the pseudo-labels are not those of this fold's training images: ${detail}`,
    });
  }

  static cancelled(): TrainingError {
    return new TrainingError({ reason: { _tag: "Cancelled" }, message: "the epoch was cancelled" });
  }
}
