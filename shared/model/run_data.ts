import { decodeFeatures, type Features, type Manifest, type RunSpec } from "@subtaxa/contracts";
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
import type { Rank, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { Effect } from "effect";
import { basename } from "node:path";
import { levelsOf, type Preprocessing } from "./preprocessing.ts";

/** Where a run's dataset lies on this machine, and which fold of it is meant. */
export interface RunDataInput {
  readonly spec: RunSpec;
  readonly fold: number;
  readonly manifestFile: string;
  /** In the order of the manifest's shards. */
  readonly shardFiles: readonly string[];
  /** Where the resized images are kept for the next time. */
  readonly cacheFolder: string;
  /** What the frozen backbone makes of every image; null where the network takes the images themselves. */
  readonly frozenFile: string | null;
}

/** What a network is fed, in the order of the manifest: images, or a frozen backbone's features of them. */
export type Inputs = Images | Features;

export const isFeatures = (inputs: Inputs): inputs is Features => "dimension" in inputs;

/** A fold's data in memory. */
export interface RunData {
  readonly inputs: Inputs;
  /** Index of each image's class. */
  readonly classOf: Uint16Array;
  readonly split: Split;
}

const readManifest = async (path: string): Promise<Manifest> =>
  await Effect.runPromise(parseManifest(await Deno.readFile(path), basename(path)));

/**
 * Loads a run's images at its size, or their features; the latest dataset stays in memory, so that a worker that goes on with the same one reads nothing.
 * Rejects with a `DatasetError`.
 */
export const runDataLoader = (): (input: RunDataInput) => Promise<RunData> => {
  let latest: { readonly key: string; readonly inputs: Inputs; readonly classOf: Uint16Array } | undefined;
  return async ({ spec, fold, manifestFile, shardFiles, cacheFolder, frozenFile }) => {
    const key = `${spec.manifest.sha256}/${spec.imageSize}/${frozenFile}`;
    if (latest?.key !== key) {
      latest = undefined;
      const manifest = await readManifest(manifestFile);
      const inputs = frozenFile !== null
        ? decodeFeatures(await Deno.readFile(frozenFile))
        : await Effect.runPromise(loadImages({
          manifest,
          manifestSha256: spec.manifest.sha256,
          shardFiles: (shard) => shardFiles[shard]!,
          imageSize: spec.imageSize,
          cacheFolder,
        }));
      latest = { key, inputs, classOf: Uint16Array.from(manifest.images, (image) => image.class) };
    }
    const { inputs, classOf } = latest;
    return { inputs, classOf, split: split(classOf, { seed: spec.seed, folds: spec.folds, fold }) };
  };
};

/**
 * The chosen images as a network takes them: N × side × side × 3, grey repeated, in TensorFlow's own memory. The caller
 * disposes them.
 */
export const imageTensor = (
  images: Images,
  indices: ArrayLike<number>,
  preprocessing: Preprocessing,
  augmentation?: Augmentation,
): Tensor4D =>
  tf.tidy(() => {
    const values = batch(images, indices, augmentation, levelsOf(preprocessing, images.channels));
    // TensorFlow takes a tensor's values with the first operation on it: this one, before the next batch overwrites them.
    return tf.reshape<Rank.R4>(tf.tensor1d(values), [indices.length, images.side, images.side, 3]);
  });

/**
 * What a network takes for the chosen images: themselves (N × side × side × 3), or the frozen backbone's features of them (N ×
 * dimension). The caller disposes it.
 */
export const inputTensor = (
  inputs: Inputs,
  indices: ArrayLike<number>,
  preprocessing: Preprocessing,
  augmentation?: Augmentation,
): Tensor4D | Tensor2D => {
  if (!isFeatures(inputs)) return imageTensor(inputs, indices, preprocessing, augmentation);
  const { values, dimension } = inputs;
  const rows = new Float32Array(indices.length * dimension);
  for (let n = 0; n < indices.length; n++) {
    rows.set(values.subarray(indices[n]! * dimension, (indices[n]! + 1) * dimension), n * dimension);
  }
  return tf.tensor2d(rows, [indices.length, dimension]);
};
