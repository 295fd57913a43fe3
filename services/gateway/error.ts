import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type GatewayReason =
  /** Others could reach the API, and no token guards it. */
  | { readonly _tag: "Unguarded"; readonly host: string }
  /** The environment holds a value that can't be used. */
  | { readonly _tag: "Setting"; readonly name: string }
  /** A folder of the gateway's own can't be used. */
  | { readonly _tag: "Storage"; readonly path: string };

/** What keeps the gateway from starting, or from importing. */
export class GatewayError extends Data.TaggedError("GatewayError")<{
  readonly reason: GatewayReason;
  readonly message: string;
  readonly cause?: unknown;
}> implements Failure {
  get retryable(): boolean {
    return this.reason._tag === "Storage";
  }
}
