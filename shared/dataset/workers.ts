import { Effect, Queue, type Scope } from "effect";
import type { Portion } from "./assembly.ts";
import { DatasetError } from "./error.ts";
import type { Candidate } from "./walk.ts";

/** What a worker thread is asked to read: decoding and compressing would keep the main thread from everything else. */
export interface Request {
  readonly root: string;
  readonly candidates: readonly Candidate[];
  readonly maxSide: number;
}

/** Asks whichever worker is free first. */
export type Ask = (request: Request) => Effect.Effect<Portion, DatasetError>;

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

const askOne = (worker: Worker, request: Request): Effect.Effect<Portion, DatasetError> =>
  Effect.callback((resume) => {
    worker.onmessage = ({ data }: MessageEvent<Portion>) => resume(Effect.succeed(data));
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
