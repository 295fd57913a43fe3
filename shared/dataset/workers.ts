import { Effect, Queue, type Scope } from "effect";
import type { Outcome } from "./assembly.ts";
import type { Candidate } from "./walk.ts";

/** What a worker thread is asked to do: decoding and compressing would keep the main thread from everything else. */
export type Request =
  | {
    readonly task: "read";
    readonly root: string;
    readonly candidates: readonly Candidate[];
    readonly maxSide: number;
  }
  | { readonly task: "compress"; readonly pixels: Uint8Array<ArrayBuffer> };

/** A shard as it is stored. */
export interface Shard {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

export interface Answers {
  readonly read: readonly Outcome[];
  readonly compress: Shard;
}

/** Asks whichever worker is free first. */
export type Ask = <R extends Request>(
  request: R,
  transfer?: Transferable[],
) => Effect.Effect<Answers[R["task"]]>;

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
    return (request, transfer) =>
      Effect.acquireUseRelease(
        Queue.take(idle),
        (worker) => askOne(worker, request, transfer),
        (worker) => Queue.offer(idle, worker),
      );
  });

const askOne = <R extends Request>(
  worker: Worker,
  request: R,
  transfer: Transferable[] = [],
): Effect.Effect<Answers[R["task"]]> =>
  Effect.callback((resume) => {
    worker.onmessage = ({ data }: MessageEvent<Answers[R["task"]]>) => resume(Effect.succeed(data));
    worker.onerror = (event) => {
      event.preventDefault();
      resume(Effect.die(new Error(`the import's ${request.task} failed: ${event.message}`)));
    };
    worker.postMessage(request, transfer);
  });
