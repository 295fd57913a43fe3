import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { runOperation, withGradient } from "./native.ts";

/**
 * −log softmax(logits)[label] per example, [batch], as one fused operation that also yields the gradient
 * (SparseSoftmaxCrossEntropyWithLogits). Differentiable once, in the logits.
 *
 * @param logits [batch, classes], float32
 * @param labels [batch], int32, each in [0, classes)
 */
export const sparseSoftmaxCrossEntropy = (logits: Tensor2D, labels: Tensor1D): Tensor1D =>
  withGradient([logits], (save) => {
    const [value, perLogit] = runOperation(
      "SparseSoftmaxCrossEntropyWithLogits",
      [["T", "type", "float32"], ["Tlabels", "type", "int32"]],
      [logits, labels],
      2,
    ) as [Tensor1D, Tensor2D];
    save([perLogit]);
    return { value, gradient: (dy, saved) => saved.map((kept) => tf.mul(tf.expandDims(dy, 1), kept)) };
  });
