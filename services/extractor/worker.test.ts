import { decodeFeatures, decodeImages, decodeViews, type Range } from "@subtaxa/contracts";
import {
  encodeCheckpoint,
  encodePretrained,
  firstCheckpoint,
  imageTensor,
  loadBackbone,
} from "@subtaxa/model";
import { madeUpWeights, stripes, stripesOnDisk, untrainedCheckpoint } from "@subtaxa/model/testing";
import { TensorWorker, tf } from "@subtaxa/tensorflow";
import type { Tensor2D } from "@tensorflow/tfjs";
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

Deno.test("the backbone's views of all images are one table, also when they were made in portions", async () => {
  const folder = await Deno.makeTempDir();
  const { spec, ...input } = await stripesOnDisk(folder, 40);
  const pretrained = madeUpWeights("small", "keras");
  const pretrainedFile = join(folder, "pretrained");
  await Deno.writeFile(pretrainedFile, encodePretrained(pretrained));
  const out = (name: string) => join(folder, name);
  const parts = [{ from: 0, to: 17 }, { from: 17, to: 18 }, { from: 18, to: 40 }];
  await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const worker = yield* TensorWorker.make<ExtractorWork>(new URL("./worker.ts", import.meta.url));
    for (const views of [1, 8] as const) {
      const of = { ...input, spec: { ...spec, freeze: "backbone" as const, views } };
      const make = (range: Range, outputFile: string) =>
        worker.call("backbone", { ...of, pretrainedFile, range, outputFile });
      yield* make({ from: 0, to: 40 }, out(`whole${views}`));
      const files = parts.map(({ from }) => out(`part${views}-${from}`));
      for (const [i, part] of parts.entries()) yield* make(part, files[i]!);
      yield* worker.call("concatenateBackbone", { ...of, files, outputFile: out(`joined${views}`) });
      const lost = worker.call("concatenateBackbone", {
        ...of,
        files: files.slice(1),
        outputFile: out("lost"),
      });
      expect((yield* Effect.flip(lost)).message).toMatch(/23 rows (of|for) 40/);
    }
  })));
  const table = async (name: string) => decodeViews(await Deno.readFile(out(name)));
  const single = async (name: string) => decodeFeatures(await Deno.readFile(out(name)));
  const [whole, joined] = [await table("whole8"), await table("joined8")];
  const [one, joinedOnes] = [await single("whole1"), await single("joined1")];
  await Deno.remove(folder, { recursive: true });
  const image = Uint32Array.from({ length: 40 }, (_, i) => i);
  expect(whole).toMatchObject({ image, views: 8, dimension: 64 });
  expect([joined.image, joinedOnes.image]).toEqual([image, image]);
  // batches of other sizes may be rounded otherwise
  joined.values.forEach((value, i) => expect(value).toBeCloseTo(whole.values[i]!, 2));
  joinedOnes.values.forEach((value, i) => expect(value).toBeCloseTo(one.values[i]!, 4));
  // the first view is the image itself
  one.values.forEach((value, i) =>
    expect(whole.values[Math.floor(i / 64) * 512 + i % 64]).toBe(Math.f16round(value))
  );
});

Deno.test("before the first epoch features are the pretrained backbone's, through the embedding as it starts", async () => {
  const folder = await Deno.makeTempDir();
  const input = await stripesOnDisk(folder, 40);
  const pretrained = madeUpWeights("small", "keras");
  const pretrainedFile = join(folder, "pretrained");
  await Deno.writeFile(pretrainedFile, encodePretrained(pretrained));
  const outputFile = join(folder, "features");
  await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const worker = yield* TensorWorker.make<ExtractorWork>(new URL("./worker.ts", import.meta.url));
    const files = { checkpointFile: null, pretrainedFile, outputFile };
    const classes = ["standing", "lying"];
    yield* worker.call("embed", { ...input, ...files, classes, range: { from: 0, to: 28 } });
  })));
  const { image, values, dimension } = decodeFeatures(await Deno.readFile(outputFile));
  const { parameters } = firstCheckpoint(input.spec, input.fold, pretrainedFile);
  await Deno.remove(folder, { recursive: true });
  expect([image.length, dimension]).toEqual([28, 256]);

  const { pixels } = stripes(40);
  const backbone = loadBackbone(pretrained);
  const [kernel, bias] = ["kernel", "bias"].map((part) => parameters.get(`embedding/${part}`)!);
  const expected = tf.tidy(() => {
    const images = { pixels, side: 16, channels: 1 as const, count: 40 };
    const pooled = backbone.pooled(imageTensor(images, image, pretrained.preprocessing));
    const weights = tf.tensor2d(kernel!.value, [kernel!.shape[0]!, dimension]);
    return tf.add<Tensor2D>(tf.matMul(pooled as Tensor2D, weights), tf.tensor1d(bias!.value)).dataSync<
      "float32"
    >();
  });
  backbone.dispose();
  const largest = Math.max(...expected.map(Math.abs));
  expected.forEach((value, i) => expect(Math.abs(values[i]! - value)).toBeLessThan(1e-4 * largest));
  expect(largest).toBeGreaterThan(0);
});
