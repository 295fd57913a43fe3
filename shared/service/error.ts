import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

/** What keeps a service from starting. */
export class ServiceError extends Data.TaggedError("ServiceError")<{
  readonly reason:
    | { readonly _tag: "PortTaken"; readonly port: number; readonly setting: string }
    /** The address is none of this machine's, or the port is not for this user. */
    | { readonly _tag: "CannotListen"; readonly host: string; readonly port: number };
  readonly message: string;
  readonly cause?: unknown;
}> implements Failure {
  readonly retryable = false;
}

/** `setting` is the variable that names the port. */
export const cannotListen = (host: string, port: number, setting: string, cause: unknown): ServiceError => {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const failed = `could not listen on ${host}:${port}: ${detail}`;
  return cause instanceof Deno.errors.AddrInUse
    ? new ServiceError({
      reason: { _tag: "PortTaken", port, setting },
      message: `${failed}; set ${setting} to a free port`,
      cause,
    })
    : new ServiceError({
      reason: { _tag: "CannotListen", host, port },
      message: `${failed}; see SUBTAXA_HOST and ${setting}`,
      cause,
    });
};
