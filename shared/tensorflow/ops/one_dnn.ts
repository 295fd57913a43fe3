import { nativeBackend, tf } from "../load.ts";
import { type Attribute, runOperation } from "./native.ts";

/** Has to be said to reach a oneDNN kernel by its own name. */
export const oneDnnKernel: Attribute = ["_kernel", "string", "MklNameChangeOp"];

const probe = (): boolean => {
  if (nativeBackend().isUsingGpuDevice || Deno.env.get("TF_ENABLE_ONEDNN_OPTS") === "0") return false;
  return tf.tidy(() => {
    try {
      const x = tf.ones([1, 2, 2, 1]);
      const attributes: Attribute[] = [
        ["T", "type", "float32"],
        ["ksize", "ints", [1, 2, 2, 1]],
        ["strides", "ints", [1, 2, 2, 1]],
        ["padding", "string", "VALID"],
        oneDnnKernel,
      ];
      runOperation("_MklNativeMaxPool", attributes, [x], 2);
      return true;
    } catch {
      return false; // A build of TensorFlow without these kernels: that is the answer.
    }
  });
};

let present: boolean | undefined;

/**
 * Whether oneDNN computes here, so that its own operations, which do more at once than TensorFlow's, can be called: on CPUs,
 * unless TF_ENABLE_ONEDNN_OPTS forbids it.
 */
export const hasOneDnn = (): boolean => present ??= probe();
