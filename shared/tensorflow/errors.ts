import { Data } from "effect";
import type { Failure } from "@subtaxa/contracts";

/** Why TensorFlow can't be used. */
export type TensorFlowReason =
  | { readonly _tag: "UnsupportedPlatform"; readonly platform: string }
  | { readonly _tag: "NotSetUp"; readonly home: string }
  | { readonly _tag: "LoadFailed"; readonly addon: string; readonly detail: string };

/** How a task of this project is run, with the Deno that runs now. */
const task = `npx deno@${Deno.version.deno} task`;

const describe = (reason: TensorFlowReason): string => {
  switch (reason._tag) {
    case "UnsupportedPlatform":
      return `TensorFlow publishes no library for ${reason.platform}.`;
    case "NotSetUp":
      return `TensorFlow is not set up in ${reason.home}: run "${task} setup" once.`;
    case "LoadFailed":
      return `TensorFlow could not be loaded from ${reason.addon} (${reason.detail}): run "${task} subtaxa doctor".`;
  }
};

export class TensorFlowError extends Data.TaggedError("TensorFlowError")<{
  readonly reason: TensorFlowReason;
  readonly message: string;
  readonly retryable: boolean;
}> implements Failure {
  static of(reason: TensorFlowReason): TensorFlowError {
    return new TensorFlowError({ reason, message: describe(reason), retryable: false });
  }
}
