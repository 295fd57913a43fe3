import { Data } from "effect";
import type { Failure } from "@subtaxa/contracts";

/** Events that are not the log of one run. */
export class RunLogError extends Data.TaggedError("RunLogError")<{
  readonly reason:
    /** Nothing in the log says what the run is: it is empty, or begins with the run's end. */
    | { readonly _tag: "NoStart" }
    /** An event of a dataset or of another run. */
    | { readonly _tag: "Foreign"; readonly subject: string };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

export const noStart = (what: string) =>
  new RunLogError({
    reason: { _tag: "NoStart" },
    message: `${what}: the log of a run begins with run.requested; read it from its beginning`,
  });

export const foreign = (runId: string, subject: string) =>
  new RunLogError({
    reason: { _tag: "Foreign", subject },
    message: `an event of '${subject}' in the log of run '${runId}'; read the events of one run only`,
  });
