import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type DeployReason =
  /** A program that isn't there, and that nothing here can fetch. */
  | { readonly _tag: "ToolMissing"; readonly tool: string }
  | { readonly _tag: "ToolFailed"; readonly tool: string }
  /** A download is not the pinned one. */
  | { readonly _tag: "WrongSum"; readonly module: string }
  | { readonly _tag: "Stage" };

/** Why deploy/ could not be checked, or an image's files could not be put together. */
export class DeployError extends Data.TaggedError("DeployError")<{
  readonly reason: DeployReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}
