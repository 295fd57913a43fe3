import type { Failure } from "@subtaxa/contracts";
import { Data, Effect } from "effect";

export type BusReason =
  /** The server can't be reached or doesn't answer in time. */
  | { readonly _tag: "Unreachable" }
  /** This process's connection has been closed: it drains, or NATS has turned its credentials down. */
  | { readonly _tag: "Closed" }
  /** A service that starts has waited for the server, or for its cluster to form, as long as it may. */
  | { readonly _tag: "NotReady"; readonly seconds: number }
  /** The server's version lacks what is needed. */
  | { readonly _tag: "TooOld"; readonly version: string }
  /** The server answered with an error (limits, credentials, permissions, a missing stream). */
  | { readonly _tag: "Refused" }
  /** The client refuses to send such a thing at all. */
  | { readonly _tag: "Invalid" }
  /** A message has more bytes than the server takes. */
  | { readonly _tag: "TooLarge"; readonly bytes: number; readonly limit: number }
  | { readonly _tag: "BlobMissing"; readonly key: string }
  /** The bytes of a blob don't match the hash that names them. */
  | { readonly _tag: "BlobCorrupt"; readonly key: string }
  /** The local cache can't be read or written. */
  | { readonly _tag: "Cache"; readonly path: string };

const final: ReadonlySet<BusReason["_tag"]> = new Set([
  "TooOld",
  "Invalid",
  "TooLarge",
  "BlobMissing",
  "BlobCorrupt",
]);

/** Whatever goes wrong between this process and NATS. */
export class BusError extends Data.TaggedError("BusError")<{
  readonly reason: BusReason;
  readonly message: string;
  readonly cause?: unknown;
}> implements Failure {
  get retryable(): boolean {
    return !final.has(this.reason._tag);
  }
}

/**
 * What the client's errors come to, by their names. All others are about the way to the server: none, or no answer in time.
 */
const reasons: Readonly<Record<string, "Refused" | "Invalid" | "Closed">> = {
  JetStreamApiError: "Refused",
  StreamNotFoundError: "Refused",
  ConsumerNotFoundError: "Refused",
  JetStreamNotEnabled: "Refused",
  PermissionViolationError: "Refused",
  AuthorizationError: "Refused",
  UserAuthenticationExpiredError: "Refused",
  ProtocolError: "Refused",
  InvalidArgumentError: "Invalid",
  InvalidNameError: "Invalid",
  InvalidSubjectError: "Invalid",
  ClosedConnectionError: "Closed",
  DrainingConnectionError: "Closed",
};

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
        reason: { _tag: reasons[name] ?? "Unreachable" },
        message: `could not ${operation}: ${detail}`,
        cause,
      });
    },
  });
