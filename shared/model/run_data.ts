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
import { keepLatest } from "./latest.ts";
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

/** Which images a fold is about. */
export interface Fold {
  /** Index of each image's class. */
  readonly classOf: Uint16Array;
  readonly split: Split;
}

/** A fold's data in memory. */
export interface RunData extends Fold {
  readonly inputs: Inputs;
}

const readManifest = async (path: string): Promise<Manifest> =>
  await Effect.runPromise(parseManifest(await Deno.readFile(path), basename(path)));

/** Reads what runs are made from; the latest dataset stays in memory. Both reject with a `DatasetError`. */
export interface RunDataLoader {
  /** Without the images themselves. */
  readonly fold: (input: RunDataInput) => Promise<Fold>;
  /** With the images at the run's size, or their features; going on with the same dataset reads nothing. */
  readonly load: (input: RunDataInput) => Promise<RunData>;
}

export const runDataLoader = (): RunDataLoader => {
  const manifestOf = ({ manifestFile }: RunDataInput) => readManifest(manifestFile);
  const classesOf = keepLatest<Promise<Uint16Array>>();
  const inputsOf = keepLatest<Promise<Inputs>>();
  const images = async (input: RunDataInput) =>
    await Effect.runPromise(loadImages({
      manifest: await manifestOf(input),
      manifestSha256: input.spec.manifest.sha256,
      shardFiles: (shard) => input.shardFiles[shard]!,
      imageSize: input.spec.imageSize,
      cacheFolder: input.cacheFolder,
    }));
  const fold = async (input: RunDataInput): Promise<Fold> => {
    const { spec: { manifest, seed, folds }, fold } = input;
    const classOf = await classesOf(
      manifest.sha256,
      async () => Uint16Array.from((await manifestOf(input)).images, (image) => image.class),
    );
    return { classOf, split: split(classOf, { seed, folds, fold }) };
  };
  const load = async (input: RunDataInput): Promise<RunData> => {
    const { spec, frozenFile } = input;
    const inputs = await inputsOf(
      `${spec.manifest.sha256}/${spec.imageSize}/${frozenFile}`,
      async () => frozenFile === null ? await images(input) : decodeFeatures(await Deno.readFile(frozenFile)),
    );
    return { inputs, ...(await fold(input)) };
  };
  return { fold, load };
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
  return tf.tidy(() => {
    const rows = rowsOf(inputs, indices);
    // As with images, it takes an operation for the values to be TensorFlow's own.
    return tf.reshape<Rank.R2>(tf.tensor1d(rows), [indices.length, inputs.dimension]);
  });
};

/** Used again for every batch: fresh memory costs as much as filling it. */
let buffer = new Float32Array();

const rowsOf = ({ values, dimension }: Features, indices: ArrayLike<number>): Float32Array => {
  const length = indices.length * dimension;
  if (buffer.length < length) buffer = new Float32Array(length);
  for (let n = 0; n < indices.length; n++) {
    buffer.set(values.subarray(indices[n]! * dimension, (indices[n]! + 1) * dimension), n * dimension);
  }
  return buffer.subarray(0, length);
};
