import type { Tensor } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { runOperation, withGradient } from "./native.ts";

/** max(x, 0) of any shape, with TensorFlow's fused gradient (ReluGrad). Differentiable once. */
export const relu = <T extends Tensor>(x: T): T =>
  withGradient([x], (save) => {
    const value = tf.relu(x);
    save([value]);
    return {
      value,
      gradient: (dy, saved) => runOperation("ReluGrad", [["T", "type", dy.dtype]], [dy, ...saved], 1),
    };
  });
