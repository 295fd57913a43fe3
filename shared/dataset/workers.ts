import type { SampleDepth } from "@subtaxa/contracts";
import { Effect, Queue, type Scope } from "effect";
import type { Portion } from "./assembly.ts";
import type { DepthStatistics } from "./depth.ts";
import { DatasetError } from "./error.ts";
import type { Candidate } from "./walk.ts";

/** What a worker thread is asked for: decoding and compressing would keep the main thread from everything else. */
export type Request =
  & { readonly root: string; readonly candidates: readonly Candidate[] }
  & (
    /** To look at the values of the 16-bit images among them. */
    | { readonly type: "depth" }
    /** To read all of them. */
    | { readonly type: "read"; readonly maxSide: number; readonly depth: SampleDepth }
  );

/** What it answers. */
export interface Answers {
  readonly depth: DepthStatistics;
  readonly read: Portion;
}

/** Asks whichever worker is free first. */
export type Ask = <R extends Request>(request: R) => Effect.Effect<Answers[R["type"]], DatasetError>;

/** Starts worker threads; they are ended with the scope, in the middle of their work if need be. */
export const startWorkers = (count: number): Effect.Effect<Ask, never, Scope.Scope> =>
  Effect.gen(function* () {
    const idle = yield* Queue.unbounded<Worker>();
    for (let i = 0; i < count; i++) {
      const worker = yield* Effect.acquireRelease(
        Effect.sync(() => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" })),
        (worker) => Effect.sync(() => worker.terminate()),
      );
      yield* Queue.offer(idle, worker);
    }
    return (request) =>
      Effect.acquireUseRelease(
        Queue.take(idle),
        (worker) => askOne(worker, request),
        (worker) => Queue.offer(idle, worker),
      );
  });

const askOne = <R extends Request>(
  worker: Worker,
  request: R,
): Effect.Effect<Answers[R["type"]], DatasetError> =>
  Effect.callback((resume) => {
    worker.onmessage = ({ data }: MessageEvent<Answers[R["type"]]>) => resume(Effect.succeed(data));
    worker.onerror = (event) => {
      event.preventDefault();
      resume(Effect.fail(
        new DatasetError({
          reason: { _tag: "WorkerCrashed" },
          message: `a thread that reads images for the import has ended: ${event.message}`,
          cause: event.error,
        }),
      ));
    };
    worker.postMessage(request);
  });
