import type { RunProgress } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import type { Tensor2D } from "@tensorflow/tfjs";
import { tf, type WorkContext } from "@subtaxa/tensorflow";
import type { Checkpoint } from "./checkpoint.ts";
import { ModelError } from "./error.ts";
import { classProbabilities } from "./head.ts";
import { loadBackbone, type LoadedBackbone, loadModel, type Model } from "./model.ts";
import { networks } from "./networks.ts";
import type { Pretrained } from "./pretrained/mod.ts";
import { imageTensor, type Inputs, inputTensor, isFeatures } from "./run_data.ts";

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
  { inputs, indices, batchSize = batchOf(inputs) }: Omit<Inference, "checkpoint" | "model">,
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

/** Runs the model over all batches; `each` takes from a tidy what it needs. Frees a model that it loads, whatever happens. */
const overBatches = (
  { checkpoint, model: kept, ...work }: Inference,
  context: WorkContext<BatchProgress>,
  each: (model: Model, batch: Tensor2D, from: number) => void,
): void => {
  const model = kept ?? loadModel(checkpoint);
  try {
    inBatches(work, context, (part, from) => {
      each(model, model.embed(inputTensor(work.inputs, part, checkpoint.preprocessing)), from);
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

/**
 * What a backbone makes of the images: N × features row-major, in the order of `indices`, without which they are all. A
 * `backbone` that is in memory already stays there.
 */
export const backboneFeatures = (
  pretrained: Pretrained,
  images: Images,
  context: WorkContext<BatchProgress>,
  { indices = Array.from({ length: images.count }, (_, i) => i), backbone: kept }: {
    readonly indices?: ArrayLike<number>;
    readonly backbone?: LoadedBackbone;
  } = {},
): Float32Array => {
  const width = networks[pretrained.backbone].features;
  const result = new Float32Array(indices.length * width);
  const backbone = kept ?? loadBackbone(pretrained);
  try {
    inBatches({ inputs: images, indices }, context, (part, from) => {
      const pooled = backbone.pooled(imageTensor(images, part, pretrained.preprocessing));
      result.set(pooled.dataSync<"float32">(), from * width);
    });
  } finally {
    if (!kept) backbone.dispose();
  }
  return result;
};
