import { Data } from "effect";
import type { Failure } from "@subtaxa/contracts";

/** Why a model could not be read or used. */
export type ModelReason =
  /** The bytes are no safetensors file, or not one of ours. */
  | { readonly _tag: "Malformed"; readonly file: string }
  /** A sound checkpoint that does not belong to this run: another network, other classes. */
  | { readonly _tag: "Incompatible"; readonly file: string }
  /** The labels name a sub-class without a row in the head to start from, or leave a class without sub-class. */
  | { readonly _tag: "UnknownSubclass"; readonly class: number }
  /** A file of pretrained weights can't be opened, or its kind is unknown. */
  | { readonly _tag: "Unreadable"; readonly file: string }
  /** The tensors of a file of pretrained weights are not those of the network. */
  | { readonly _tag: "Mismatch"; readonly file: string; readonly layer: string }
  /** A network gives no number for some image, or one that half precision doesn't have. */
  | { readonly _tag: "NotFinite"; readonly file: string }
  /** Nobody publishes weights for this network. */
  | { readonly _tag: "NoPublishedWeights"; readonly backbone: string }
  /** Published weights could not be fetched; `file` is where they belong. */
  | { readonly _tag: "NotFetched"; readonly url: string; readonly file: string }
  /** The caller asked for an early end. */
  | { readonly _tag: "Cancelled" };

/** What can go wrong with a model. Never retryable: the same bytes fail the same way. */
export class ModelError extends Data.TaggedError("ModelError")<{
  readonly reason: ModelReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;

  static notFinite(file: string): ModelError {
    return new ModelError({
      reason: { _tag: "NotFinite", file },
      message:
        `with the weights in ${file}, the features of some image are not finite (or beyond 65504, which needs views 1)`,
    });
  }

  static cancelled(): ModelError {
    return new ModelError({ reason: { _tag: "Cancelled" }, message: "the work was cancelled" });
  }
}
