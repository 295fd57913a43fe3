import type { Tensor } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { withGradient } from "./native.ts";

/**
 * x · sigmoid(x) of any shape (also called SiLU), with a gradient of its own: y′ = s + y · (1 − s) with s = sigmoid(x).
 * It keeps y, which the next layer keeps anyway, and s; the tape of the composed operations would keep x as well and take
 * twice as many passes. Differentiable once.
 */
export const swish = <T extends Tensor>(x: T): T =>
  withGradient<T>([x], (save) => {
    const gate = tf.sigmoid(x);
    const value = tf.mul<T>(x, gate);
    save([value, gate]);
    return {
      value,
      gradient: (dy, saved) => {
        const [y, s] = saved as [Tensor, Tensor];
        return tf.mul(dy, tf.add(s, tf.sub(y, tf.mul(y, s))));
      },
    };
  });
