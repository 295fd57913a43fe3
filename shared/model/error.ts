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
  /** The caller asked for an early end. */
  | { readonly _tag: "Cancelled" };

/** What can go wrong with a model. Never retryable: the same bytes fail the same way. */
export class ModelError extends Data.TaggedError("ModelError")<{
  readonly reason: ModelReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;

  static cancelled(): ModelError {
    return new ModelError({ reason: { _tag: "Cancelled" }, message: "the work was cancelled" });
  }
}
