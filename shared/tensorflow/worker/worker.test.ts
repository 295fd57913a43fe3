import { Effect, Fiber, type Scope } from "effect";
import { expect } from "expect";
import { TensorWorker, type TensorWorkerOptions } from "./client.ts";
import type { WorkerFailure } from "./errors.ts";
import type { TestWork } from "./testing_worker.ts";

const url = new URL("./testing_worker.ts", import.meta.url);

const withWorker = <A, E>(
  use: (worker: TensorWorker<TestWork>) => Effect.Effect<A, E, Scope.Scope>,
  options: TensorWorkerOptions = {},
): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(TensorWorker.make<TestWork>(url, options), use)));

const flag = () => new SharedArrayBuffer(4);

Deno.test("the main thread's timer keeps ticking while the worker multiplies matrices", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const raised = flag();
      let ticks = 0;
      let timer: ReturnType<typeof setInterval> | undefined;
      const tick = () => {
        if (++ticks === 10) Atomics.store(new Int32Array(raised), 0, 1);
      };
      yield* worker.call("multiplyUntil", { raised }, {
        onProgress: () => timer ??= setInterval(tick, 5),
      });
      clearInterval(timer);
      expect(ticks).toBeGreaterThanOrEqual(10);
    })
  ));

Deno.test("an operation's progress arrives in order, its output last", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const seen: number[] = [];
      const input = { batches: 4, ended: flag() };
      expect(yield* worker.call("countBatches", input, { onProgress: (done) => seen.push(done) })).toBe(4);
      expect(seen).toEqual([1, 2, 3, 4]);
    })
  ));

Deno.test("calls made at once run one after the other", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const log: string[] = [];
      const call = (name: string) =>
        worker.call("countBatches", { batches: 3, ended: flag() }, { onProgress: () => log.push(name) });
      yield* Effect.all([call("a"), call("b")], { concurrency: "unbounded" });
      expect(log.join("")).toBe("aaabbb");
    })
  ));

Deno.test("interruption ends the operation between two batches, and returns only then", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const ended = flag();
      const { promise: fifth, resolve } = Promise.withResolvers<void>();
      const fiber = yield* Effect.forkChild(
        worker.call("countBatches", { batches: 10_000, ended }, {
          onProgress: (done) => done === 5 && resolve(),
        }),
      );
      yield* Effect.promise(() => fifth);
      yield* Fiber.interrupt(fiber);
      const batches = Atomics.load(new Int32Array(ended), 0);
      expect(batches).toBeGreaterThanOrEqual(5);
      expect(batches).toBeLessThan(10_000);
      expect(yield* worker.call("countBatches", { batches: 2, ended: flag() })).toBe(2);
    })
  ));

Deno.test("an operation that never asks is ended after the grace period, and the next call works", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(worker.call("neverStop", undefined));
      yield* Effect.sleep(50);
      yield* Fiber.interrupt(fiber);
      expect(yield* worker.call("countBatches", { batches: 1, ended: flag() })).toBe(1);
    }), { graceMillis: 100 }));

Deno.test("a crash fails every call under way as retryable, and the next call starts a fresh worker", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const failures = yield* Effect.all([
        Effect.flip(worker.call("crash", undefined)),
        Effect.flip(worker.call("multiply", { size: 2, times: 1 })),
      ], { concurrency: "unbounded" });
      for (const failure of failures) {
        expect(failure).toMatchObject({ _tag: "WorkerError", reason: { _tag: "Crashed" }, retryable: true });
        expect(failure.message).toContain("out of nowhere");
      }
      expect(yield* worker.call("multiply", { size: 2, times: 1 })).toBeCloseTo(2);
    })
  ));

Deno.test("a module that fails while it loads is a crash with the reason", () => {
  const broken = new URL("data:text/javascript,throw new Error('no such library')");
  const call = Effect.flatMap(
    TensorWorker.make<TestWork>(broken),
    (worker) => Effect.flip(worker.call("multiply", { size: 1, times: 1 })),
  );
  return Effect.runPromise(Effect.scoped(call)).then((failure) => {
    expect(failure.reason._tag).toBe("Crashed");
    expect(failure.message).toContain("no such library");
  });
});

Deno.test("a typed error crosses with tag, reason, sentence and retryability", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(worker.call("failTyped", undefined))).toMatchObject({
        _tag: "EvaluationError",
        reason: { _tag: "NoImages", fold: 3 },
        message: "Fold 3 has no images: import more or use fewer folds.",
        retryable: false,
      });
    })
  ));

Deno.test("what the machine lacks is worth another try", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const failures: Record<string, Effect.Effect<unknown, WorkerFailure>> = {
        "No such file": worker.call("readFile", { path: "/there/is/none" }),
        ...(Deno.build.os === "linux" &&
          { "No space left": worker.call("writeFile", { path: "/dev/full" }) }),
        "allocati": worker.call("exhaustArrays", undefined),
        "OOM when allocating": worker.call("exhaustTensorFlow", undefined),
      };
      for (const [said, call] of Object.entries(failures)) {
        const failure = yield* Effect.flip(call);
        expect(failure).toMatchObject({
          _tag: "WorkerError",
          reason: { _tag: "Resources" },
          retryable: true,
        });
        expect(failure.message).toContain(said);
      }
      expect(yield* worker.call("multiply", { size: 2, times: 1 })).toBeCloseTo(2);
    })
  ));

Deno.test("an untyped error, and an output that can't be sent, name the operation and don't ask for a retry", () =>
  withWorker((worker) =>
    Effect.gen(function* () {
      const untyped = yield* Effect.flip(worker.call("failUntyped", undefined));
      expect(untyped).toMatchObject({
        reason: { _tag: "Defect", operation: "failUntyped" },
        retryable: false,
      });
      expect(untyped.message).toContain("x is not a tensor");
      const unsendable = yield* Effect.flip(worker.call("returnFunction", undefined));
      expect(unsendable).toMatchObject({ reason: { _tag: "Defect", operation: "returnFunction" } });
    })
  ));
