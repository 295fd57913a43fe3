import { encodeFeatures, encodeImages, initialFoldState, RunRequest, specOf } from "@subtaxa/contracts";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect, Fiber } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import type { ClustererWork } from "./worker.ts";

const classes = ["first", "second", "third"];
const rows = 12;

Deno.test("who is interrupted stops within a class where it asks, and begins no other one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-relabelling-" });
  const counts = new SharedArrayBuffer(8);
  const image = Uint32Array.from({ length: rows }, (_, i) => i);
  const [imagesFile, featuresFile] = [join(folder, "images"), join(folder, "features")];
  await Deno.writeFile(
    imagesFile,
    encodeImages({ image, class: Uint16Array.from(image, (i) => i % classes.length) }),
  );
  await Deno.writeFile(
    featuresFile,
    encodeFeatures({ image, values: Float32Array.from(image), dimension: 1 }),
  );
  const blob = { key: "k", sha256: "0".repeat(64), bytes: 1 };
  const spec = specOf(RunRequest.parse({ dataset: "d" }), { manifest: blob, classes });
  const program = Effect.gen(function* () {
    const worker = yield* TensorWorker.make<ClustererWork>(
      new URL("./testing_worker.ts", import.meta.url),
      { graceMillis: 20_000 },
    );
    const fiber = yield* Effect.forkChild(worker.call("relabel", {
      ...{ spec: { ...spec, parameters: { counts } }, fold: 0, epoch: 1 },
      classes: initialFoldState(classes).classes.map((one) => ({ ...one, allowedClusters: 2 })),
      ...{ imagesFile, featuresFile, labelsFile: null, outputFile: join(folder, "labels") },
    }));
    yield* Effect.promise(async () => await Atomics.waitAsync(new Int32Array(counts), 0, 0).value);
    yield* Fiber.interrupt(fiber);
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
    expect([...new Int32Array(counts)]).toEqual([1, 1]);
    await expect(Deno.stat(join(folder, "labels"))).rejects.toThrow(Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
