import type { RunProgress, Views } from "@subtaxa/contracts";
import { type Images, symmetriesOf, type Symmetry } from "@subtaxa/dataset";
import type { Tensor2D } from "@tensorflow/tfjs";
import { tf, type WorkContext } from "@subtaxa/tensorflow";
import type { Checkpoint } from "./checkpoint.ts";
import { ModelError } from "./error.ts";
import { classProbabilities } from "./head.ts";
import { loadBackbone, type LoadedBackbone, loadModel, type Model } from "./model.ts";
import { networks } from "./networks.ts";
import type { Pretrained } from "./pretrained/mod.ts";
import { imageTensor, type Inputs, isFeatures, networkInput } from "./run_data.ts";
import type { LogSizes } from "./sizes.ts";

/** How far a loop over batches is. */
export type BatchProgress = Pick<RunProgress, "done" | "total" | "loss" | "imagesPerSecond" | "secondsLeft">;

/** Tells speed and time left from the images done so far of `images`, done in `total` batches. */
export const stopwatch = (images: number, total: number) => {
  const start = performance.now();
  return (done: number, imagesDone: number): BatchProgress => {
    const imagesPerSecond = imagesDone / ((performance.now() - start) / 1000);
    return { done, total, imagesPerSecond, secondsLeft: (images - imagesDone) / imagesPerSecond };
  };
};

export interface Inference {
  readonly checkpoint: Checkpoint;
  /** The checkpoint's network where it is in memory already: it stays there. */
  readonly model?: Model;
  readonly inputs: Inputs;
  /** Of the images in `inputs`; a checkpoint with size features needs them. */
  readonly sizes?: LogSizes | undefined;
  /** Which images, in which order. */
  readonly indices: ArrayLike<number>;
  /** Default: `inferenceBatch`. */
  readonly batchSize?: number;
}

/**
 * How many images of this side, or rows of features (null), a network takes at once: so many that its widest layer has some
 * 100 MB.
 */
export const inferenceBatch = (side: number | null): number =>
  side === null ? 1024 : Math.max(1, Math.min(256, Math.floor(256 * (80 / side) ** 2)));

const batchOf = (inputs: Inputs): number => inferenceBatch(isFeatures(inputs) ? null : inputs.side);

/** Takes all of them a batch at a time, each within a tidy. Throws `ModelError/Cancelled` within one batch. */
const inBatches = (
  { inputs, indices, batchSize = batchOf(inputs) }: Omit<Inference, "checkpoint" | "model" | "sizes">,
  { cancelled, progress }: WorkContext<BatchProgress>,
  each: (part: readonly number[], from: number) => void,
): void => {
  const all = Array.from(indices);
  const total = Math.ceil(all.length / batchSize);
  const measure = stopwatch(all.length, total);
  for (let done = 0; done < total; done++) {
    if (cancelled()) throw ModelError.cancelled();
    const from = done * batchSize;
    const part = all.slice(from, from + batchSize);
    tf.tidy(() => each(part, from));
    progress(measure(done + 1, from + part.length));
  }
};

/**
 * The mean over views of what a network makes of each, one view at a time, within a tidy. Throws `ModelError/Cancelled` within
 * one view.
 */
const meanOverViews = (
  symmetries: readonly Symmetry[],
  { cancelled }: Pick<WorkContext<unknown>, "cancelled">,
  of: (symmetry: Symmetry) => Tensor2D,
): Tensor2D => {
  const sum = symmetries.reduce<Tensor2D | undefined>((before, symmetry) => {
    if (cancelled()) throw ModelError.cancelled();
    if (before === undefined) return tf.tidy(() => of(symmetry));
    const after = tf.tidy(() => tf.add<Tensor2D>(before, of(symmetry)));
    before.dispose();
    return after;
  }, undefined)!;
  return symmetries.length === 1 ? sum : tf.div(sum, symmetries.length);
};

/** Runs the model over all batches; `each` takes from a tidy what it needs. Frees a model that it loads, whatever happens. */
const overBatches = (
  { checkpoint, model: kept, sizes, ...work }: Inference,
  context: WorkContext<BatchProgress>,
  each: (model: Model, batch: Tensor2D, from: number) => void,
): void => {
  const { inputs } = work;
  const data = { inputs, ...(sizes ? { sizes } : {}) };
  const model = kept ?? loadModel(checkpoint);
  // features of a frozen backbone are the mean over their views already
  const symmetries = symmetriesOf[isFeatures(inputs) ? 1 : checkpoint.views];
  try {
    inBatches(work, context, (part, from) => {
      const embeddings = meanOverViews(symmetries, context, (symmetry) => {
        const augmentation = { augment: "symmetry", symmetry } as const;
        return model.embed(networkInput(data, part, checkpoint, { augmentation }));
      });
      each(model, embeddings, from);
    });
  } finally {
    if (!kept) model.dispose();
  }
};

/**
 * Probabilities of the original classes, N × classes row-major, in the order of `indices`: sums over the sub-classes,
 * which themselves never show. Throws `ModelError/Cancelled` within one batch of being cancelled.
 */
export const classify = (inference: Inference, context: WorkContext<BatchProgress>): Float32Array => {
  const { checkpoint: { head, classes }, indices } = inference;
  const result = new Float32Array(indices.length * classes.length);
  overBatches(inference, context, (model, embeddings, from) => {
    const logits = model.logits(embeddings).dataSync<"float32">();
    result.set(classProbabilities(logits, head.rows, classes.length), from * classes.length);
  });
  return result;
};

/** Embeddings, N × the head's width row-major, as the network gives them (not normalised), in the order of `indices`. */
export const embed = (inference: Inference, context: WorkContext<BatchProgress>): Float32Array => {
  const { checkpoint: { head }, indices } = inference;
  const result = new Float32Array(indices.length * head.width);
  overBatches(inference, context, (_, embeddings, from) => {
    result.set(embeddings.dataSync<"float32">(), from * head.width);
  });
  return result;
};

export interface BackboneWork {
  readonly pretrained: Pretrained;
  readonly images: Images;
  /** Which images, in which order. Default: all. */
  readonly indices?: ArrayLike<number>;
  /** The backbone where it is in memory already: it stays there. */
  readonly backbone?: LoadedBackbone;
}

/** Gives `take` each row of features: that of view v of the nth image is number n · views + v. */
const overRows = (
  { pretrained, images, indices = Array.from({ length: images.count }, (_, i) => i), backbone: kept }:
    BackboneWork,
  views: Views,
  context: WorkContext<BatchProgress>,
  take: (row: Float32Array, number: number) => void,
): void => {
  const width = networks[pretrained.backbone].features;
  const symmetries = symmetriesOf[views];
  const backbone = kept ?? loadBackbone(pretrained);
  try {
    inBatches({ inputs: images, indices }, context, (part, from) => {
      for (const [view, symmetry] of symmetries.entries()) {
        if (context.cancelled()) throw ModelError.cancelled();
        const values = tf.tidy(() => {
          const augmentation = { augment: "symmetry", symmetry } as const;
          const x = imageTensor(images, part, pretrained.preprocessing, augmentation);
          return backbone.pooled(x).dataSync<"float32">();
        });
        part.forEach((_, n) => take(values.subarray(n * width, (n + 1) * width), (from + n) * views + view));
      }
    });
  } finally {
    if (!kept) backbone.dispose();
  }
};

/** What a backbone makes of the images: N × features row-major, in the order of `indices`. */
export const backboneFeatures = (work: BackboneWork, context: WorkContext<BatchProgress>): Float32Array => {
  const { pretrained, images, indices } = work;
  const width = networks[pretrained.backbone].features;
  const result = new Float32Array((indices?.length ?? images.count) * width);
  overRows(work, 1, context, (row, number) => result.set(row, number * width));
  return result;
};

/**
 * What a backbone makes of several views of the images: N × views × features row-major, in the order of `indices` and of
 * `symmetriesOf`. An image counts as done once all its views are. Values beyond ±65504, which half precision does not have,
 * become infinite.
 */
export const viewFeatures = (
  work: BackboneWork,
  views: Views,
  context: WorkContext<BatchProgress>,
): Float16Array => {
  const { pretrained, images, indices } = work;
  const width = networks[pretrained.backbone].features;
  const result = new Float16Array((indices?.length ?? images.count) * views * width);
  overRows(work, views, context, (row, number) => result.set(row, number * width));
  return result;
};
