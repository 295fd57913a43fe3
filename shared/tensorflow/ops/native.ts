import type { DataType, GradSaveFunc, Tensor } from "@tensorflow/tfjs";
import type { NativeAttribute } from "../graph/graph_def.ts";
import { nativeBackend, tf } from "../load.ts";

/** An attribute of a TensorFlow operation: `[name, kind, value]`. A string in `strings` has no comma. */
export type Attribute =
  | readonly [name: string, kind: "type", value: DataType]
  | readonly [name: string, kind: "types", value: readonly DataType[]]
  | readonly [name: string, kind: "float" | "int", value: number]
  | readonly [name: string, kind: "ints" | "shape", value: readonly number[]]
  | readonly [name: string, kind: "bool", value: boolean]
  | readonly [name: string, kind: "string", value: string]
  | readonly [name: string, kind: "strings", value: readonly string[]];

/** As the add-on takes it; how lists of types and strings travel is told in scripts/setup/list_attributes.h. */
const encode = ([name, kind, value]: Attribute): NativeAttribute => {
  const backend = nativeBackend();
  const { binding } = backend;
  switch (kind) {
    case "type":
      return { name, type: binding.TF_ATTR_TYPE, value: backend.getDTypeInteger(value) };
    case "types":
      return {
        name,
        type: binding.TF_ATTR_SHAPE,
        value: value.map((type) => backend.getDTypeInteger(type)),
        isList: true,
      };
    case "float":
      return { name, type: binding.TF_ATTR_FLOAT, value };
    case "int":
      return { name, type: binding.TF_ATTR_INT, value };
    case "ints":
      return { name, type: binding.TF_ATTR_INT, value: [...value] };
    case "shape":
      return { name, type: binding.TF_ATTR_SHAPE, value: [...value] };
    case "bool":
      return { name, type: binding.TF_ATTR_BOOL, value };
    case "string":
      return { name, type: binding.TF_ATTR_STRING, value };
    case "strings":
      return { name, type: binding.TF_ATTR_STRING, value: value.join(","), isList: true };
  }
};

/**
 * Runs one TensorFlow operation by its registered name. The call is not recorded for gradients: wrap it in
 * `withGradient`. The outputs belong to the enclosing `tf.tidy`, as usual.
 */
export const runOperation = (
  name: string,
  attributes: readonly Attribute[],
  inputs: readonly Tensor[],
  outputs: number,
): Tensor[] => nativeBackend().executeMultipleOutputs(name, attributes.map(encode), [...inputs], outputs);

/** What an operation says of itself to the gradient tape. */
export interface Differentiable<Out extends Tensor> {
  readonly value: Out;
  /**
   * From the gradient in the value, and what was saved, to the gradient in every input; a function where it should be
   * computed only if somebody asks for it. It never returns `dy` itself.
   */
  readonly gradient: (dy: Out, saved: Tensor[]) => Tensor | (Tensor | (() => Tensor))[];
}

/** The part of tfjs' engine that `tf.customGrad` is made of; its type is private, and only it can compute on demand. */
interface Engine {
  runKernelFunc(parameters: {
    readonly forwardFunc: (backend: unknown, save: GradSaveFunc) => Tensor;
    readonly backwardsFunc: (dy: Tensor, saved: Tensor[]) => Readonly<Record<string, () => Tensor>>;
    readonly inputs: Readonly<Record<string, Tensor>>;
  }): Tensor;
}

/** What the operation whose turn was last on the way back needs no more. */
let spent: readonly Tensor[] = [];

/**
 * Computes a value from the inputs (closed over) and records how to go back. On the way back memory is given free as early
 * as can be: when the next such operation has its turn, what this one saved and its `dy` are disposed.
 */
export const withGradient = <Out extends Tensor>(
  inputs: readonly Tensor[],
  forward: (save: GradSaveFunc) => Differentiable<Out>,
): Out => {
  let back: Differentiable<Out>["gradient"];
  return (tf.engine() as unknown as Engine).runKernelFunc({
    inputs: Object.fromEntries(inputs.map((input, i) => [i, input])),
    forwardFunc: (_, save) => {
      const { value, gradient } = forward(save);
      back = gradient;
      return value;
    },
    backwardsFunc: (dy, saved) => {
      tf.dispose([...spent]);
      spent = [dy, ...saved];
      const gradients = [back(dy as Out, saved)].flat();
      return Object.fromEntries(
        gradients.map((gradient, i) => [i, () => typeof gradient === "function" ? gradient() : gradient]),
      );
    },
  }) as Out;
};
