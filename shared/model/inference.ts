import type { RunProgress } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import { tf, type WorkContext } from "@subtaxa/tensorflow";
import type { Checkpoint } from "./checkpoint.ts";
import { ModelError } from "./error.ts";
import { classProbabilities } from "./head.ts";
import { loadModel, type Model } from "./model.ts";
import { imageTensor } from "./run_data.ts";

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
  readonly images: Images;
  /** Which images, in which order. */
  readonly indices: ArrayLike<number>;
  /** Default 256. */
  readonly batchSize?: number;
}

/** Runs the model over all batches; `each` takes from a tidy what it needs. Frees the model whatever happens. */
const overBatches = (
  { checkpoint, images, indices, batchSize = 256 }: Inference,
  { cancelled, progress }: WorkContext<BatchProgress>,
  each: (model: Model, batch: ReturnType<Model["embed"]>, from: number) => void,
): void => {
  const model = loadModel(checkpoint);
  try {
    const all = Array.from(indices);
    const total = Math.ceil(all.length / batchSize);
    const measure = stopwatch(all.length, total);
    for (let done = 0; done < total; done++) {
      if (cancelled()) throw ModelError.cancelled();
      const from = done * batchSize;
      const part = all.slice(from, from + batchSize);
      tf.tidy(() => {
        each(model, model.embed(imageTensor(images, part, checkpoint.preprocessing)), from);
      });
      progress(measure(done + 1, from + part.length));
    }
  } finally {
    model.dispose();
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
