import { Effect, type Scope } from "effect";
import { BenchError } from "./peer.ts";

/** Starts one of this folder's workers: each call sends it a message and gives its answer. */
export const startWorker = <Answer>(
  script: string,
): Effect.Effect<(message: unknown) => Effect.Effect<Answer, BenchError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL(script, import.meta.url), { type: "module" })),
      (worker) => Effect.sync(() => worker.terminate()),
    );
    const answer = (message: unknown) =>
      new Promise<Answer>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
        worker.postMessage(message);
      });
    return (message) =>
      Effect.tryPromise({
        try: () => answer(message),
        catch: (cause) => new BenchError({ message: `${script}: ${cause}` }),
      });
  });
