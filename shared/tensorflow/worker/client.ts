import { Effect, Metric, type Scope } from "effect";
import { RemoteFailure, WorkerError, type WorkerFailure } from "./errors.ts";
import type { InputOf, Operations, OutputOf, ProgressOf, Reply, Request } from "./protocol.ts";

export interface CallOptions<Progress> {
  readonly onProgress?: (value: Progress) => void;
}

export interface TensorWorkerOptions {
  /** How long an interrupted call may go on before the worker is ended. Default: 60 s, several batches on a CPU. */
  readonly graceMillis?: number;
}

const seconds = Metric.counter("subtaxa_tensor_seconds_total", {
  description: "Time that the tensor worker took for its calls, by operation",
  incremental: true,
  attributes: { unit: "seconds" },
});

interface Pending {
  readonly operation: string;
  readonly onProgress: (value: unknown) => void;
  readonly settle: (result: Effect.Effect<unknown, WorkerFailure>) => void;
}

/**
 * A thread of its own for tensor work, so that the main thread keeps answering pings and probes while TensorFlow
 * computes. `Work` is the type of the operations that the worker's module serves with `serveTensorWork`.
 */
export class TensorWorker<Work extends Operations> {
  /**
   * A worker for the module at `url`, ended with the scope. The thread starts at once, so that its libraries are loaded
   * by the first call, and anew with the first call after a crash.
   */
  static make<Work extends Operations>(
    url: URL,
    options: TensorWorkerOptions = {},
  ): Effect.Effect<TensorWorker<Work>, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        const worker = new TensorWorker<Work>(url, options.graceMillis ?? 60_000);
        worker.#threadOrNew();
        return worker;
      }),
      (worker) => Effect.sync(() => worker.#end("its scope was closed")),
    );
  }

  readonly #url: URL;
  readonly #graceMillis: number;
  readonly #pending = new Map<number, Pending>();
  #thread: Worker | undefined;
  #lastId = 0;

  private constructor(url: URL, graceMillis: number) {
    this.#url = url;
    this.#graceMillis = graceMillis;
  }

  /**
   * Runs one operation; calls queue up in the worker. Interruption raises the operation's `cancelled()` and returns
   * when the operation has, so that its files and tensors are at rest afterwards.
   */
  call<Name extends keyof Work & string>(
    operation: Name,
    input: InputOf<Work[Name]>,
    options: CallOptions<ProgressOf<Work[Name]>> = {},
  ): Effect.Effect<OutputOf<Work[Name]>, WorkerFailure> {
    let began = 0;
    const counted = Effect.suspend(() =>
      Metric.update(Metric.withAttributes(seconds, { operation }), (performance.now() - began) / 1000)
    );
    return Effect.callback<OutputOf<Work[Name]>, WorkerFailure>((resume) => {
      began = performance.now();
      const id = ++this.#lastId;
      const cancel = new SharedArrayBuffer(4);
      const request: Request = { id, operation, input, cancel };
      const settled = Promise.withResolvers<void>();
      this.#pending.set(id, {
        operation,
        onProgress: (value) => options.onProgress?.(value as ProgressOf<Work[Name]>),
        settle: (result) => {
          settled.resolve();
          // The worker's module and `Work` are one declaration: what it returns is what the type says.
          resume(result as Effect.Effect<OutputOf<Work[Name]>, WorkerFailure>);
        },
      });
      this.#threadOrNew().postMessage(request);
      return Effect.promise(() => this.#interrupt(operation, new Int32Array(cancel), settled.promise));
    }).pipe(Effect.ensuring(counted), Effect.withSpan(`tensors.${operation}`));
  }

  async #interrupt(operation: string, cancel: Int32Array, settled: Promise<void>): Promise<void> {
    Atomics.store(cancel, 0, 1);
    const timer = setTimeout(() => this.#end(`${operation} did not stop when asked to`), this.#graceMillis);
    await settled;
    clearTimeout(timer);
  }

  #threadOrNew(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    const thread = new Worker(this.#url, { type: "module" });
    thread.onmessage = ({ data }: MessageEvent<Reply>) => this.#receive(data);
    thread.onmessageerror = () => this.#end("a message could not be read");
    thread.onerror = (event) => {
      event.preventDefault();
      this.#end(event.message);
    };
    return this.#thread = thread;
  }

  #receive(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    if (reply._tag === "Progress") return pending.onProgress(reply.value);
    this.#pending.delete(reply.id);
    pending.settle(resultOf(reply, pending.operation));
  }

  /** Ends the thread and, with it, every call under way. */
  #end(detail: string): void {
    this.#thread?.terminate();
    this.#thread = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { operation, settle } of pending) {
      settle(Effect.fail(WorkerError.of({ _tag: "Crashed", operation, detail })));
    }
  }
}

const resultOf = (reply: Exclude<Reply, { _tag: "Progress" }>, operation: string) => {
  switch (reply._tag) {
    case "Success":
      return Effect.succeed(reply.output);
    case "Failure":
      return Effect.fail(new RemoteFailure(reply.failure));
    case "Resources":
    case "Defect":
      return Effect.fail(WorkerError.of({ _tag: reply._tag, operation, detail: reply.message }));
  }
};
