import type { Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { type Attribute, runOperation, withGradient } from "./native.ts";
import { hasOneDnn, oneDnnKernel } from "./one_dnn.ts";

export interface FusedBatchNormOptions {
  /** Added to the variance. Default 1e-3. */
  readonly epsilon?: number;
  /** Added to what is normalised, before the activation; shaped like x. */
  readonly shortcut?: Tensor4D | undefined;
  /** max(·, 0) at the end. Default false. */
  readonly relu?: boolean;
}

/** What normalising with the batch's own statistics gives; all owned by the caller (or the enclosing `tf.tidy`). */
export interface NormalisedBatch {
  /** (x − mean) / √(biased variance + ε) · gamma + beta, shaped like x; then the shortcut and ReLU. */
  readonly y: Tensor4D;
  /** Mean per channel over batch, height and width, [channels]. */
  readonly mean: Tensor1D;
  /**
   * Variance per channel, [channels], divided by n − 1 (unbiased): what a running average should collect. The
   * normalisation itself divides by n.
   */
  readonly variance: Tensor1D;
}

const attributes = (epsilon: number): readonly Attribute[] => [
  ["T", "type", "float32"],
  ["U", "type", "float32"],
  ["epsilon", "float", epsilon],
  ["data_format", "string", "NHWC"],
  ["is_training", "bool", true],
];

/** The six outputs of TensorFlow's operation, of which the first has passed the ReLU where it is wanted. */
const normalise = (x: Tensor4D, gamma: Tensor1D, beta: Tensor1D, epsilon: number, relu: boolean) => {
  const empty = tf.tensor1d([]);
  const inputs = [x, gamma, beta, empty, empty];
  if (!relu) return runOperation("FusedBatchNormV3", attributes(epsilon), inputs, 6);
  if (hasOneDnn()) {
    return runOperation(
      "_MklNativeFusedBatchNormEx",
      [
        ...attributes(epsilon),
        ["num_side_inputs", "int", 0],
        ["activation_mode", "string", "Relu"],
        oneDnnKernel,
      ],
      inputs,
      6,
    );
  }
  const [y, ...others] = runOperation("FusedBatchNormV3", attributes(epsilon), inputs, 6);
  return [tf.relu(y!), ...others];
};

/**
 * Batch normalisation in training mode as TensorFlow's fused operation and its fused gradient (FusedBatchNormV3,
 * FusedBatchNormGradV3), with what follows it in a residual network. Differentiable once, in x, gamma, beta and the
 * shortcut, through `y`; `mean` and `variance` carry no gradient.
 *
 * @param x [batch, height, width, channels], float32
 * @param gamma scale, [channels]
 * @param beta offset, [channels]
 */
export const fusedBatchNorm = (
  x: Tensor4D,
  gamma: Tensor1D,
  beta: Tensor1D,
  { epsilon = 1e-3, shortcut, relu = false }: FusedBatchNormOptions = {},
): NormalisedBatch =>
  tf.tidy(() => {
    const outputs = normalise(x, gamma, beta, epsilon, relu && shortcut === undefined);
    const [normalised, mean, variance, ...reserved] = outputs as [Tensor4D, Tensor1D, Tensor1D, ...Tensor[]];
    // The forward result is there already; what remains is to tell the tape how to go back.
    const y = withGradient<Tensor4D>([x, gamma, beta, ...(shortcut ? [shortcut] : [])], (save) => {
      const sum = shortcut ? tf.add<Tensor4D>(normalised, shortcut) : normalised;
      const value = relu && shortcut ? tf.relu<Tensor4D>(sum) : sum;
      save([x, gamma, ...reserved, ...(relu ? [value] : [])]);
      return {
        value,
        gradient: (dy, saved) =>
          tf.tidy(() => {
            const [inputs, [y]] = [saved.slice(0, 5), saved.slice(5)];
            const before = y ? runOperation("ReluGrad", [["T", "type", "float32"]], [dy, y], 1)[0]! : dy;
            const [dx, dGamma, dBeta] = runOperation(
              "FusedBatchNormGradV3",
              attributes(epsilon),
              [before, ...inputs],
              5,
            ) as [Tensor, Tensor, Tensor];
            return [dx, dGamma, dBeta, ...(shortcut ? [tf.clone(before)] : [])];
          }),
      };
    });
    return { y, mean, variance };
  });
