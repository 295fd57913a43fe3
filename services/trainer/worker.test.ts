import { decodeCheckpoint } from "@subtaxa/model";
import { stripesOnDisk } from "@subtaxa/model/testing";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Cause, Effect, Exit, Fiber } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import type { TrainerWork } from "./worker.ts";

const url = new URL("./worker.ts", import.meta.url);

/** Runs `use` with a worker and a dataset of 60 images, in a folder that is removed. */
const withWorker = async <A, E>(
  use: (
    worker: TensorWorker<TrainerWork>,
    input: Awaited<ReturnType<typeof stripesOnDisk>>,
    folder: string,
  ) => Effect.Effect<A, E>,
) => {
  const folder = await Deno.makeTempDir();
  try {
    const input = await stripesOnDisk(folder, 60);
    const work = Effect.flatMap(TensorWorker.make<TrainerWork>(url), (worker) => use(worker, input, folder));
    return await Effect.runPromiseExit(Effect.scoped(work));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const valueOf = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isSuccess(exit)) return exit.value;
  throw new Error(Cause.pretty(exit.cause));
};

Deno.test("the worker trains epoch after epoch, warm or cold, from and to files", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const [first, second, again] = ["1", "2", "2-again"].map((name) => join(folder, name));
      const done: number[] = [];
      const one = yield* worker.call("train", {
        ...input,
        epoch: 1,
        checkpointFile: null,
        pretrainedFile: null,
        labelsFile: null,
        outputFile: first!,
      }, { onProgress: ({ done: batches }) => void done.push(batches) });
      const next = { ...input, epoch: 2, checkpointFile: first!, pretrainedFile: null, labelsFile: null };
      const warm = yield* worker.call("train", { ...next, outputFile: second! });
      // The worker now holds epoch 2: epoch 1 has to be loaded.
      const cold = yield* worker.call("train", { ...next, outputFile: again! });
      const checkpoint = decodeCheckpoint(yield* Effect.promise(() => Deno.readFile(again!)), "2");
      return { one, warm, cold, done, checkpoint };
    })
  );
  const { one, warm, cold, done, checkpoint } = valueOf(exit);
  expect(done).toEqual([1, 2, 3]);
  expect(one).toMatchObject({ images: 42, subclasses: 2 });
  expect(warm.loss).toBeLessThan(one.loss);
  expect(cold.loss).toBeCloseTo(warm.loss, 4);
  expect(checkpoint).toMatchObject({ epoch: 2, backbone: "small", classes: ["lying", "standing"], steps: 6 });
});

Deno.test("an interrupted epoch stops early and leaves no checkpoint", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const outputFile = join(folder, "never");
      const begun = Promise.withResolvers<void>();
      const spec = { ...input.spec, batchSize: 2 };
      const fiber = yield* Effect.forkChild(
        worker.call(
          "train",
          {
            ...input,
            spec,
            epoch: 1,
            checkpointFile: null,
            pretrainedFile: null,
            labelsFile: null,
            outputFile,
          },
          {
            onProgress: () => begun.resolve(),
          },
        ),
      );
      yield* Effect.promise(() => begun.promise);
      yield* Fiber.interrupt(fiber);
      return yield* Effect.promise(() => Deno.stat(outputFile).then(() => true, () => false));
    })
  );
  expect(valueOf(exit)).toBe(false);
});

Deno.test("a manifest that is none arrives as a typed error", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.flip(worker.call("train", {
      ...input,
      manifestFile: input.shardFiles[0]!,
      epoch: 1,
      checkpointFile: null,
      pretrainedFile: null,
      labelsFile: null,
      outputFile: join(folder, "1"),
    }))
  );
  expect(valueOf(exit)).toMatchObject({ _tag: "DatasetError", reason: { _tag: "ManifestInvalid" } });
});

Deno.test("a checkpoint of another run arrives as a typed error", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const outputFile = join(folder, "1");
      yield* worker.call("train", {
        ...input,
        epoch: 1,
        checkpointFile: null,
        pretrainedFile: null,
        labelsFile: null,
        outputFile,
      });
      const spec = { ...input.spec, classes: ["standing", "lying"] };
      return yield* Effect.flip(
        worker.call("train", {
          ...input,
          spec,
          epoch: 2,
          checkpointFile: outputFile,
          pretrainedFile: null,
          labelsFile: null,
          outputFile,
        }),
      );
    })
  );
  expect(valueOf(exit)).toMatchObject({
    _tag: "ModelError",
    reason: { _tag: "Incompatible" },
    retryable: false,
  });
});
