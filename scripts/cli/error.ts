import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type CliReason =
  /** The command line itself is wrong. */
  | { readonly _tag: "Usage" }
  | { readonly _tag: "Unreachable"; readonly url: string }
  /** The gateway answered, and its answer ended before it was whole. */
  | { readonly _tag: "Broken"; readonly url: string }
  /** The gateway said no (problem+json), or with status 503 not yet. */
  | { readonly _tag: "Refused"; readonly status: number }
  /** What answered is no Subtaxa of this version. */
  | { readonly _tag: "Unintelligible"; readonly url: string }
  /** What was asked for was tried and ended badly. */
  | { readonly _tag: "Failed" };

/** Why a command could not do what it was asked; the message is all that the user sees. */
export class CliError extends Data.TaggedError("CliError")<{
  readonly reason: CliReason;
  readonly message: string;
}> implements Failure {
  get retryable(): boolean {
    return this.reason._tag === "Unreachable" || this.reason._tag === "Broken" ||
      (this.reason._tag === "Refused" && this.reason.status === 503);
  }
}

export const usageError = (message: string): CliError => new CliError({ reason: { _tag: "Usage" }, message });
export const failedError = (message: string): CliError =>
  new CliError({ reason: { _tag: "Failed" }, message });

/** 0: done. 1: it failed. 2: the command line is wrong. 130: interrupted (Ctrl-C). */
export const exitCode = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;
