import type { Failure } from "@subtaxa/contracts";
import { Data, Effect } from "effect";

/** What a candidate does otherwise than the contract says, or what keeps it from being examined. */
export class ConformanceError extends Data.TaggedError("ConformanceError")<{
  readonly reason: { readonly _tag: "Broken" | "Setup" };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

export const broken = (message: string): ConformanceError =>
  new ConformanceError({ reason: { _tag: "Broken" }, message });
export const setup = (message: string): ConformanceError =>
  new ConformanceError({ reason: { _tag: "Setup" }, message });

/** Fails with the sentence unless the fact holds. */
export const must = (fact: boolean, sentence: string): Effect.Effect<void, ConformanceError> =>
  fact ? Effect.void : Effect.fail(broken(sentence));
