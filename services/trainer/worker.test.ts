import { decodeCheckpoint, withOptimizer } from "@subtaxa/model";
import { stripesOnDisk } from "@subtaxa/model/testing";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Cause, Effect, Exit, Fiber } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { TrainerWork, TrainInput, TrainOutput } from "./worker.ts";

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

/** What a first epoch takes besides the data, and where it writes. */
const firstEpoch = { epoch: 1, previous: null, pretrainedFile: null, labelsFile: null };
const filesIn = (folder: string, name: string) => ({
  checkpoint: join(folder, `${name}.checkpoint`),
  optimizer: join(folder, `${name}.optimizer`),
});
const storedAt = (files: TrainInput["outputFiles"], sha256: TrainOutput["sha256"]) => ({
  checkpoint: { file: files.checkpoint, sha256: sha256.checkpoint },
  optimizer: { file: files.optimizer, sha256: sha256.optimizer },
});

Deno.test("the worker trains epoch after epoch, warm or cold, from and to files", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const [first, second, again] = ["1", "2", "2-again"].map((name) => filesIn(folder, name));
      const done: number[] = [];
      const written: string[] = [];
      const one = yield* worker.call("train", { ...input, ...firstEpoch, outputFiles: first! }, {
        onProgress: (progress) => {
          if ("done" in progress) done.push(progress.done);
          else written.push(progress.optimizer);
        },
      });
      const next = { ...input, ...firstEpoch, epoch: 2, previous: storedAt(first!, one.sha256) };
      const warm = yield* worker.call("train", { ...next, outputFiles: second! });
      // The worker now holds epoch 2: epoch 1 has to be loaded.
      const cold = yield* worker.call("train", { ...next, outputFiles: again! });
      const bytes = yield* Effect.promise(() =>
        Promise.all([again!.checkpoint, again!.optimizer].map((file) => Deno.readFile(file)))
      );
      return { one, warm, cold, done, written, bytes };
    })
  );
  const { one, warm, cold, done, written, bytes: [checkpoint, optimizer] } = valueOf(exit);
  expect(done).toEqual([1, 2, 3]);
  expect(written).toEqual([one.sha256.optimizer]);
  expect(one.training).toMatchObject({ images: 42, subclasses: 2 });
  expect(warm.training.loss).toBeLessThan(one.training.loss);
  expect(cold.training.loss).toBeCloseTo(warm.training.loss, 4);
  const hashes = [checkpoint!, optimizer!].map((bytes) => createHash("sha256").update(bytes).digest("hex"));
  expect([cold.sha256.checkpoint, cold.sha256.optimizer]).toEqual(hashes);
  expect(withOptimizer(decodeCheckpoint(checkpoint!, "2"), optimizer!, "2")).toMatchObject({
    ...{ epoch: 2, backbone: "small", classes: ["lying", "standing"], steps: 6 },
  });
});

Deno.test("an interrupted epoch stops early and leaves no state", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const outputFiles = filesIn(folder, "never");
      const begun = Promise.withResolvers<void>();
      const spec = { ...input.spec, batchSize: 2 };
      const fiber = yield* Effect.forkChild(
        worker.call("train", { ...input, ...firstEpoch, spec, outputFiles }, {
          onProgress: () => begun.resolve(),
        }),
      );
      yield* Effect.promise(() => begun.promise);
      yield* Fiber.interrupt(fiber);
      return [...Deno.readDirSync(folder)].filter(({ name }) => name.startsWith("never"));
    })
  );
  expect(valueOf(exit)).toEqual([]);
});

Deno.test("a manifest that is none arrives as a typed error", async () => {
  const exit = await withWorker((worker, input, folder) => {
    const outputFiles = filesIn(folder, "1");
    const manifestFile = input.shardFiles[0]!;
    const sha256 = createHash("sha256").update(Deno.readFileSync(manifestFile)).digest("hex");
    const spec = { ...input.spec, manifest: { ...input.spec.manifest, sha256 } };
    return Effect.flip(worker.call("train", { ...input, ...firstEpoch, spec, manifestFile, outputFiles }));
  });
  expect(valueOf(exit)).toMatchObject({ _tag: "DatasetError", reason: { _tag: "ManifestInvalid" } });
});

Deno.test("a manifest that is damaged on this machine is worth another try", async () => {
  const exit = await withWorker((worker, input, folder) =>
    Effect.gen(function* () {
      const train = worker.call("train", { ...input, ...firstEpoch, outputFiles: filesIn(folder, "1") });
      const whole = Deno.readFileSync(input.manifestFile);
      Deno.writeFileSync(input.manifestFile, whole.map((byte, i) => i === 0 ? byte ^ 1 : byte));
      const error = yield* Effect.flip(train);
      Deno.writeFileSync(input.manifestFile, whole);
      return { error, again: yield* train };
    })
  );
  const { error, again } = valueOf(exit);
  expect(error).toMatchObject({ _tag: "BusError", reason: { _tag: "Cache" }, retryable: true });
  expect(again.training).toMatchObject({ images: 42 });
});

for (const memory of ["warm", "cold"]) {
  Deno.test(`a ${memory} checkpoint of another run arrives as a typed error`, async () => {
    const exit = await withWorker((worker, input, folder) =>
      Effect.gen(function* () {
        const outputFiles = filesIn(folder, "1");
        const { sha256 } = yield* worker.call("train", { ...input, ...firstEpoch, outputFiles });
        if (memory === "cold") {
          const other = { ...input.spec, seed: 9 };
          const files = filesIn(folder, "other");
          yield* worker.call("train", { ...input, ...firstEpoch, spec: other, outputFiles: files });
        }
        const spec = { ...input.spec, classes: ["standing", "lying"] };
        const previous = storedAt(outputFiles, sha256);
        return yield* Effect.flip(
          worker.call("train", { ...input, ...firstEpoch, spec, epoch: 2, previous, outputFiles }),
        );
      })
    );
    expect(valueOf(exit)).toMatchObject({
      _tag: "ModelError",
      reason: { _tag: "Incompatible" },
      retryable: false,
    });
  });
}
