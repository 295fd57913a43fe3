import type { DataType, GradSaveFunc, Tensor } from "@tensorflow/tfjs";
import type { TFEOpAttr } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { nativeBackend, tf } from "../load.ts";

/** An attribute of a TensorFlow operation: `[name, kind, value]`. */
export type Attribute =
  | readonly [name: string, kind: "type", value: DataType]
  | readonly [name: string, kind: "float" | "int", value: number]
  | readonly [name: string, kind: "bool", value: boolean]
  | readonly [name: string, kind: "string", value: string]
  | readonly [name: string, kind: "shape", value: readonly number[]];

/**
 * Runs one TensorFlow operation by its registered name. The call is not recorded for gradients: wrap it in
 * `tf.customGrad`. The outputs belong to the enclosing `tf.tidy`, as usual.
 */
export const runOperation = (
  name: string,
  attributes: readonly Attribute[],
  inputs: readonly Tensor[],
  outputs: number,
): Tensor[] => {
  const backend = nativeBackend();
  const { binding } = backend;
  const kinds = {
    type: binding.TF_ATTR_TYPE,
    float: binding.TF_ATTR_FLOAT,
    int: binding.TF_ATTR_INT,
    bool: binding.TF_ATTR_BOOL,
    string: binding.TF_ATTR_STRING,
    shape: binding.TF_ATTR_SHAPE,
  };
  const encoded = attributes.map(([attribute, kind, value]): TFEOpAttr => ({
    name: attribute,
    type: kinds[kind],
    value: kind === "type" ? backend.getDTypeInteger(value) : kind === "shape" ? [...value] : value,
  }));
  return backend.executeMultipleOutputs(name, encoded, [...inputs], outputs);
};

/** What an operation says of itself to the gradient tape. */
export interface Differentiable<Out extends Tensor> {
  readonly value: Out;
  /** From the gradient in the value, and what was saved, to the gradient in every input. */
  readonly gradient: (dy: Out, saved: Tensor[]) => Tensor | Tensor[];
}

/** `tf.customGrad` with types: computes a value from the inputs (closed over) and records how to go back. */
export const withGradient = <Out extends Tensor>(
  inputs: readonly Tensor[],
  forward: (save: GradSaveFunc) => Differentiable<Out>,
): Out =>
  tf.customGrad((...args) => {
    const { value, gradient } = forward(args.at(-1) as GradSaveFunc);
    return { value, gradFunc: (dy, saved) => gradient(dy as Out, saved) };
  })(...inputs) as Out;
