import type { Blobs, Bus, KeyValue } from "@subtaxa/bus";
import type { Failure } from "@subtaxa/contracts";
import { Effect, FiberSet } from "effect";
import type { Clusterers } from "../clusterers.ts";
import type { ReadModel } from "../read_model.ts";
import type { Settings } from "../settings.ts";

/** What the routes use. */
export type ApiServices = ReadModel | Clusterers | Settings | Bus | Blobs | KeyValue;

/** Runs what a route does; a failure is thrown, for the API's error handler to answer. */
export type Run = <A, E extends Failure>(
  effect: Effect.Effect<A, E, ApiServices>,
  options?: { readonly signal?: AbortSignal },
) => Promise<A>;

/** Runs effects until the scope closes, which interrupts those that are still running, such as event streams. */
export const makeRun = Effect.map(FiberSet.makeRuntimePromise<ApiServices>(), (run): Run => run);
