import type { Failure } from "@subtaxa/contracts";
import { Data, Effect } from "effect";

export type BusReason =
  /** The server can't be reached or doesn't answer in time. */
  | { readonly _tag: "Unreachable" }
  /** A service that starts has waited for the server, or for its cluster to form, as long as it may. */
  | { readonly _tag: "NotReady"; readonly seconds: number }
  /** The server answered with an error (limits, permissions, a missing stream). */
  | { readonly _tag: "Refused" }
  | { readonly _tag: "BlobMissing"; readonly key: string }
  /** The bytes of a blob don't match the hash that names them. */
  | { readonly _tag: "BlobCorrupt"; readonly key: string }
  /** The local cache can't be read or written. */
  | { readonly _tag: "Cache"; readonly path: string };

/** Whatever goes wrong between this process and NATS. */
export class BusError extends Data.TaggedError("BusError")<{
  readonly reason: BusReason;
  readonly message: string;
  readonly cause?: unknown;
}> implements Failure {
  get retryable(): boolean {
    return this.reason._tag !== "BlobMissing" && this.reason._tag !== "BlobCorrupt";
  }
}

const refusals = new Set([
  "JetStreamApiError",
  "StreamNotFoundError",
  "ConsumerNotFoundError",
  "PermissionViolationError",
]);

/** Runs a NATS call, which is told when it is interrupted; `operation` completes the sentence "could not …". */
export const attempt = <A>(
  operation: string,
  call: (signal: AbortSignal) => Promise<A>,
): Effect.Effect<A, BusError> =>
  Effect.tryPromise({
    try: call,
    catch: (cause) => {
      if (cause instanceof BusError) return cause;
      const name = cause instanceof Error ? cause.name : "";
      const detail = cause instanceof Error ? cause.message : String(cause);
      return new BusError({
        reason: { _tag: refusals.has(name) ? "Refused" : "Unreachable" },
        message: `could not ${operation}: ${detail}`,
        cause,
      });
    },
  });
