import type { Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { type Attribute, runOperation, withGradient } from "./native.ts";
import { hasOneDnn, oneDnnKernel } from "./one_dnn.ts";

/**
 * The largest value in each window, differentiable once. oneDNN remembers which one it was; TensorFlow's own gradient looks
 * for it again and takes twenty times as long.
 *
 * @param x [batch, height, width, channels], float32
 */
export const maxPool = (x: Tensor4D, size: number, stride: number, padding: "same" | "valid"): Tensor4D => {
  if (!hasOneDnn()) return tf.maxPool(x, size, stride, padding);
  const attributes: Attribute[] = [
    ["T", "type", "float32"],
    ["ksize", "ints", [1, size, size, 1]],
    ["strides", "ints", [1, stride, stride, 1]],
    ["padding", "string", padding.toUpperCase()],
    ["workspace_enabled", "bool", true],
    oneDnnKernel,
  ];
  return withGradient([x], (save) => {
    const [value, positions] = runOperation("_MklNativeMaxPool", attributes, [x], 2) as [Tensor4D, Tensor4D];
    save([x, value, positions]);
    return {
      value,
      gradient: (dy, [x, y, positions]) =>
        runOperation("_MklNativeMaxPoolGrad", attributes, [x!, y!, dy, positions!], 1),
    };
  });
};
