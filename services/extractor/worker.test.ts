import { decodeFeatures, decodeImages } from "@subtaxa/contracts";
import { encodeCheckpoint } from "@subtaxa/model";
import { stripesOnDisk, untrainedCheckpoint } from "@subtaxa/model/testing";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import type { ExtractorWork } from "./worker.ts";

Deno.test("the worker writes the embeddings of the training images of the classes, or an empty table", async () => {
  const folder = await Deno.makeTempDir();
  const input = await stripesOnDisk(folder, 40);
  const checkpointFile = join(folder, "checkpoint");
  await Deno.writeFile(checkpointFile, encodeCheckpoint(untrainedCheckpoint(input)));
  const outputFile = join(folder, "features");
  const imagesFile = join(folder, "images");
  const embedded = (worker: TensorWorker<ExtractorWork>, classes: readonly string[]) =>
    Effect.gen(function* () {
      const { images, batch } = yield* worker.call("measureClasses", { ...input, classes });
      expect(batch).toBe(256);
      const range = { from: 0, to: images };
      const files = { checkpointFile, pretrainedFile: null, outputFile };
      yield* worker.call("embed", { ...input, ...files, classes, range });
      yield* worker.call("listImages", { ...input, outputFile: imagesFile });
      return decodeFeatures(yield* Effect.promise(() => Deno.readFile(outputFile)));
    });
  const [some, none, all] = await Effect.runPromise(Effect.scoped(
    Effect.flatMap(
      TensorWorker.make<ExtractorWork>(new URL("./worker.ts", import.meta.url)),
      (worker) =>
        Effect.forEach([["standing"], [], ["standing", "lying"]], (classes) => embedded(worker, classes)),
    ),
  ));
  const trained = decodeImages(await Deno.readFile(imagesFile));
  await Deno.remove(folder, { recursive: true });

  // 70 % of 20 images of each class; those of "standing" have odd numbers.
  expect(some!.image).toHaveLength(14);
  expect(some!.image.every((image) => image % 2 === 1)).toBe(true);
  expect(some).toMatchObject({ dimension: 256 });
  expect(new Set(some!.values).size).toBeGreaterThan(1000);
  expect(none).toEqual({ image: new Uint32Array(), values: new Float32Array(), dimension: 256 });
  expect(all!.image).toHaveLength(28);
  expect(trained.image).toEqual(all!.image);
  const standing = trained.class[trained.image.indexOf(some!.image[0]!)];
  expect(trained.image.filter((_, i) => trained.class[i] === standing)).toEqual(some!.image);
  const row = all!.image.indexOf(some!.image[3]!);
  expect(all!.values[row * 256]).toBeCloseTo(some!.values[3 * 256]!, 4);
});
