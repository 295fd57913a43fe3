import type { Tensor, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { runOperation, withGradient } from "./native.ts";

/**
 * Mean of every channel over height and width, [batch, channels], or with `keepSides` [batch, 1, 1, channels]. Differentiable
 * once; tfjs' own gradient fills a tensor of ones as large as the input each time, outside of TensorFlow.
 *
 * @param x [batch, height, width, channels], float32
 */
export const spatialMean = <Out extends Tensor>(x: Tensor4D, keepSides = false): Out => {
  const [images, height, width, channels] = x.shape;
  return withGradient<Out>([x], () => ({
    value: tf.mean<Out>(x, [1, 2], keepSides),
    gradient: (dy) =>
      tf.tidy(() => {
        const share = tf.reshape(tf.mul(dy, 1 / (height * width)), [images, 1, 1, channels]);
        return runOperation(
          "BroadcastTo",
          [["T", "type", "float32"], ["Tidx", "type", "int32"]],
          [share, tf.tensor1d(x.shape, "int32")],
          1,
        );
      }),
  }));
};
