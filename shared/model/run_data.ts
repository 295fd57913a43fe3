import { readIntact } from "@subtaxa/bus";
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
import type { Random } from "@subtaxa/random";
import type { Rank, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { Effect } from "effect";
import { basename } from "node:path";
import type { Checkpoint } from "./checkpoint.ts";
import { type FrozenFeatures, readFrozen } from "./frozen.ts";
import { keepLatest } from "./latest.ts";
import type { NetworkInput } from "./networks.ts";
import { levelsOf, type Preprocessing } from "./preprocessing.ts";
import { type LogSizes, logSizes, SIZES, standardise } from "./sizes.ts";

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
export type Inputs = Images | FrozenFeatures;

export const isFeatures = (inputs: Inputs): inputs is FrozenFeatures => "dimension" in inputs;

/** Which images a fold is about. */
export interface Fold {
  /** Index of each image's class. */
  readonly classOf: Uint16Array;
  /** Where the run has size features: those of each image. */
  readonly sizes?: LogSizes;
  readonly split: Split;
}

/** A fold's data in memory. */
export interface RunData extends Fold {
  readonly inputs: Inputs;
}

const readManifest = ({ manifestFile, spec }: RunDataInput): Promise<Manifest> =>
  Effect.runPromise(
    readIntact(manifestFile, spec.manifest.sha256).pipe(
      Effect.flatMap((bytes) => parseManifest(bytes, basename(manifestFile))),
    ),
  );

/**
 * Reads what runs are made from; the latest dataset stays in memory. Both reject with a `DatasetError`,
 * `BusError` or `ArtifactError`.
 */
export interface RunDataLoader {
  /** Without the images themselves. */
  readonly fold: (input: RunDataInput) => Promise<Fold>;
  /** With the images at the run's size, or their features; going on with the same dataset reads nothing. */
  readonly load: (input: RunDataInput) => Promise<RunData>;
}

/** `eachView`: keep the features of each view of an image, which only training takes, beside their mean. Default: false. */
export const runDataLoader = (
  { eachView = false }: { readonly eachView?: boolean } = {},
): RunDataLoader => {
  const listOf = keepLatest<Promise<{ readonly classOf: Uint16Array; readonly sizes: LogSizes }>>();
  const inputsOf = keepLatest<Promise<Inputs>>();
  const images = async (input: RunDataInput) =>
    await Effect.runPromise(loadImages({
      manifest: await readManifest(input),
      manifestSha256: input.spec.manifest.sha256,
      shardFiles: (shard) => input.shardFiles[shard]!,
      imageSize: input.spec.imageSize,
      cacheFolder: input.cacheFolder,
    }));
  const fold = async (input: RunDataInput): Promise<Fold> => {
    const { spec: { manifest, seed, folds, sizeFeatures }, fold } = input;
    const { classOf, sizes } = await listOf(manifest.sha256, async () => {
      const manifest = await readManifest(input);
      return {
        classOf: Uint16Array.from(manifest.images, (image) => image.class),
        sizes: logSizes(manifest),
      };
    });
    return { classOf, ...(sizeFeatures ? { sizes } : {}), split: split(classOf, { seed, folds, fold }) };
  };
  const load = async (input: RunDataInput): Promise<RunData> => {
    const { spec, frozenFile } = input;
    const parts = await fold(input);
    const inputs = await inputsOf(
      `${spec.manifest.sha256}/${spec.imageSize}/${frozenFile}`,
      async () =>
        frozenFile === null
          ? await images(input)
          : readFrozen(frozenFile, spec, parts.classOf.length, eachView),
    );
    return { inputs, ...parts };
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

/** What differs between the batches of training and those of inference. */
export interface InputOptions {
  /** Of images. Default: none. */
  readonly augmentation?: Augmentation;
  /** Draws one of the views of each image whose features stand for it. Default: the mean over all views. */
  readonly views?: Random;
}

/** What a network takes for the chosen images. The caller disposes it (`inputTensors`). */
export const networkInput = (
  { inputs, sizes }: Pick<RunData, "inputs" | "sizes">,
  indices: ArrayLike<number>,
  { preprocessing, sizeScaling }: Pick<Checkpoint, "preprocessing" | "sizeScaling">,
  { augmentation, views }: InputOptions = {},
): NetworkInput => {
  const x = isFeatures(inputs)
    ? featureTensor(inputs, indices, views)
    : imageTensor(inputs, indices, preprocessing, augmentation);
  if (sizeScaling === null) return { x };
  if (sizes === undefined) throw new Error("a network with size features takes its images' sizes");
  return { x, sizes: tf.tensor2d(standardise(sizes, indices, sizeScaling), [indices.length, SIZES]) };
};

const featureTensor = (
  features: FrozenFeatures,
  indices: ArrayLike<number>,
  views: Random | undefined,
): Tensor2D =>
  tf.tidy(() => {
    const rows = rowsOf(features, indices, views);
    // As with images, it takes an operation for the values to be TensorFlow's own.
    return tf.reshape<Rank.R2>(tf.tensor1d(rows), [indices.length, features.dimension]);
  });

/** Used again for every batch: fresh memory costs as much as filling it. */
let buffer = new Float32Array();

const rowsOf = (
  { values, dimension, each }: FrozenFeatures,
  indices: ArrayLike<number>,
  views: Random | undefined,
): Float32Array => {
  const length = indices.length * dimension;
  if (buffer.length < length) buffer = new Float32Array(length);
  for (let n = 0; n < indices.length; n++) {
    const row = views && each
      ? each.values.subarray(...rowAt(indices[n]! * each.views + views.integer(each.views), dimension))
      : values.subarray(...rowAt(indices[n]!, dimension));
    buffer.set(row, n * dimension);
  }
  return buffer.subarray(0, length);
};

const rowAt = (row: number, dimension: number): [number, number] => [row * dimension, (row + 1) * dimension];
