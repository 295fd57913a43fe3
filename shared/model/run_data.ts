import type { Manifest, RunSpec } from "@subtaxa/contracts";
import {
  type Augmentation,
  batch,
  type Images,
  loadImages,
  parseManifest,
  type Split,
  split,
} from "@subtaxa/dataset";
import { tf } from "@subtaxa/tensorflow";
import type { Tensor4D } from "@tensorflow/tfjs";
import { Effect } from "effect";
import { basename } from "node:path";
import { preprocess, type Preprocessing } from "./preprocessing.ts";

/** Where a run's dataset lies on this machine, and which fold of it is meant. */
export interface RunDataInput {
  readonly spec: RunSpec;
  readonly fold: number;
  readonly manifestFile: string;
  /** In the order of the manifest's shards. */
  readonly shardFiles: readonly string[];
  /** Where the resized images are kept for the next time. */
  readonly cacheFolder: string;
}

/** A fold's images in memory, at the run's size. */
export interface RunData {
  readonly images: Images;
  /** Index of each image's class. */
  readonly classOf: Uint16Array;
  readonly split: Split;
}

const readManifest = async (path: string): Promise<Manifest> =>
  await Effect.runPromise(parseManifest(await Deno.readFile(path), basename(path)));

/**
 * Loads a run's images; the latest dataset stays in memory, so that a worker that goes on with the same one reads nothing.
 * Rejects with a `DatasetError`.
 */
export const runDataLoader = (): (input: RunDataInput) => Promise<RunData> => {
  let latest: { readonly key: string; readonly images: Images; readonly classOf: Uint16Array } | undefined;
  return async ({ spec, fold, manifestFile, shardFiles, cacheFolder }) => {
    const key = `${spec.manifest.sha256}/${spec.imageSize}`;
    if (latest?.key !== key) {
      latest = undefined;
      const manifest = await readManifest(manifestFile);
      const images = await Effect.runPromise(loadImages({
        manifest,
        manifestSha256: spec.manifest.sha256,
        shardFiles: (shard) => shardFiles[shard]!,
        imageSize: spec.imageSize,
        cacheFolder,
      }));
      latest = { key, images, classOf: Uint16Array.from(manifest.images, (image) => image.class) };
    }
    const { images, classOf } = latest;
    return { images, classOf, split: split(classOf, { seed: spec.seed, folds: spec.folds, fold }) };
  };
};

/** The chosen images as a network takes them: N × side × side × 3, grey repeated. The caller disposes them. */
export const imageTensor = (
  images: Images,
  indices: ArrayLike<number>,
  preprocessing: Preprocessing,
  augmentation?: Augmentation,
): Tensor4D =>
  tf.tidy(() => {
    const { side, channels } = images;
    const pixels = tf.tensor4d(batch(images, indices, augmentation), [indices.length, side, side, channels]);
    return preprocess(pixels, preprocessing);
  });
