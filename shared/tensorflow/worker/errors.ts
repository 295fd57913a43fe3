import { Data } from "effect";
import type { Failure } from "@subtaxa/contracts";
import type { PlainFailure } from "./protocol.ts";

export type WorkerReason =
  /** The worker ended while the call was under way; the next call starts a fresh one. */
  | { readonly _tag: "Crashed"; readonly operation: string; readonly detail: string }
  /** The machine lacked something: memory, disk, a file. */
  | { readonly _tag: "Resources"; readonly operation: string; readonly detail: string }
  /** The operation threw something that is no typed error. */
  | { readonly _tag: "Defect"; readonly operation: string; readonly detail: string };

const describe = (reason: WorkerReason): string => {
  switch (reason._tag) {
    case "Crashed":
      return `The tensor worker ended during ${reason.operation}: ${reason.detail}.`;
    case "Resources":
      return `The tensor worker's ${reason.operation} lacked something of its machine: ${reason.detail}.`;
    case "Defect":
      return `The tensor worker's ${reason.operation} failed: ${reason.detail}.`;
  }
};

/** The worker itself failed. A crash and what its machine lacks are worth another try, a defect would come back. */
export class WorkerError extends Data.TaggedError("WorkerError")<{
  readonly reason: WorkerReason;
  readonly message: string;
  readonly retryable: boolean;
}> implements Failure {
  static of(reason: WorkerReason): WorkerError {
    return new WorkerError({ reason, message: describe(reason), retryable: reason._tag !== "Defect" });
  }
}

/** A typed error that the operation raised in the worker: same tag, reason, sentence and retryability. */
export class RemoteFailure extends Error implements Failure {
  readonly _tag: string;
  readonly reason: { readonly _tag: string };
  readonly retryable: boolean;

  constructor(failure: PlainFailure) {
    super(failure.message);
    this.name = failure._tag;
    this._tag = failure._tag;
    this.reason = failure.reason;
    this.retryable = failure.retryable;
  }
}

export type WorkerFailure = WorkerError | RemoteFailure;
