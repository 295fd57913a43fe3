import type { Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { type Attribute, runOperation, withGradient } from "./native.ts";

export interface BatchNormOptions {
  /** Added to the variance. Default 1e-3. */
  readonly epsilon?: number;
}

/** What normalising with the batch's own statistics gives; all owned by the caller (or the enclosing `tf.tidy`). */
export interface NormalisedBatch {
  /** (x − mean) / √(biased variance + ε) · gamma + beta, shaped like x. */
  readonly y: Tensor4D;
  /** Mean per channel over batch, height and width, [channels]. */
  readonly mean: Tensor1D;
  /**
   * Variance per channel, [channels], divided by n − 1 (unbiased): what a running average should collect. The
   * normalisation itself divides by n.
   */
  readonly variance: Tensor1D;
}

const attributes = (x: Tensor, epsilon: number): readonly Attribute[] => [
  ["T", "type", x.dtype],
  ["U", "type", "float32"],
  ["epsilon", "float", epsilon],
  ["data_format", "string", "NHWC"],
  ["is_training", "bool", true],
];

/**
 * Batch normalisation in training mode as TensorFlow's fused operation and its fused gradient (FusedBatchNormV3,
 * FusedBatchNormGradV3). Differentiable once, in x, gamma and beta, through `y`; `mean` and `variance` carry no
 * gradient.
 *
 * @param x [batch, height, width, channels], float32
 * @param gamma scale, [channels]
 * @param beta offset, [channels]
 */
export const fusedBatchNorm = (
  x: Tensor4D,
  gamma: Tensor1D,
  beta: Tensor1D,
  { epsilon = 1e-3 }: BatchNormOptions = {},
): NormalisedBatch =>
  tf.tidy(() => {
    const empty = tf.tensor1d([]);
    const outputs = runOperation(
      "FusedBatchNormV3",
      attributes(x, epsilon),
      [x, gamma, beta, empty, empty],
      6,
    );
    const [value, mean, variance, ...reserved] = outputs as [Tensor4D, Tensor1D, Tensor1D, ...Tensor[]];
    // The forward result is there already; what remains is to tell the tape how to go back.
    const y = withGradient<Tensor4D>([x, gamma, beta], (save) => {
      save([x, gamma, ...reserved]);
      return {
        value,
        gradient: (dy, saved) =>
          runOperation("FusedBatchNormGradV3", attributes(x, epsilon), [dy, ...saved], 5).slice(0, 3),
      };
    });
    return { y, mean, variance };
  });

/**
 * Batch normalisation with given statistics (inference mode), one fused operation. Differentiable through tfjs' own
 * gradient.
 *
 * @param variance added to ε as it is: hand over the average of `NormalisedBatch.variance`
 */
export const batchNormWith = (
  x: Tensor4D,
  gamma: Tensor1D,
  beta: Tensor1D,
  statistics: { readonly mean: Tensor1D; readonly variance: Tensor1D },
  { epsilon = 1e-3 }: BatchNormOptions = {},
): Tensor4D => tf.batchNorm4d(x, statistics.mean, statistics.variance, beta, gamma, epsilon);
