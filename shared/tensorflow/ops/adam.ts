import type { Tensor } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { type Attribute, runOperation } from "./native.ts";

export interface AdamOptions {
  /** Decay of the gradient's average. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the squared gradient's average. Default 0.999. */
  readonly beta2?: number;
  /** "Epsilon hat" of the paper. Default 1e-7. */
  readonly epsilon?: number;
}

/** A weight and the averages of its gradient and of the gradient's square, all of one shape. */
export interface AdamWeight {
  readonly shape: readonly number[];
  readonly value: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/** Everything by which training goes on elsewhere exactly where it was. */
export interface AdamState {
  /** Steps taken. */
  readonly step: number;
  readonly weights: ReadonlyMap<string, AdamWeight>;
}

/** Handles of TensorFlow's own variables. */
type Variables = Readonly<Record<"value" | "first" | "second", Tensor>>;

const float: Attribute = ["dtype", "type", "float32"];

const read = (handle: Tensor): Tensor => runOperation("ReadVariableOp", [float], [handle], 1)[0] as Tensor;

const readValues = (handle: Tensor): Float32Array => {
  const tensor = read(handle);
  const values = tensor.dataSync<"float32">();
  tensor.dispose();
  return values;
};

const createVariable = (shape: readonly number[], values: Float32Array): Tensor =>
  tf.tidy(() => {
    const [handle] = runOperation(
      "VarHandleOp",
      [
        float,
        ["shape", "shape", shape],
        ["container", "string", ""],
        ["shared_name", "string", crypto.randomUUID()],
      ],
      [],
      1,
    ) as [Tensor];
    runOperation("AssignVariableOp", [float], [handle, tf.tensor(values, [...shape])], 0);
    return tf.keep(handle);
  });

const destroyVariable = (handle: Tensor): void => {
  runOperation("DestroyResourceOp", [["ignore_lookup_error", "bool", true]], [handle], 0);
  handle.dispose();
};

/**
 * Weights and the optimizer that moves them: Adam (Kingma & Ba, 2015, algorithm 1 in the efficient form at the end of
 * section 2) as TensorFlow's fused ResourceApplyAdam, one operation per weight instead of some fifteen. All of it lives in
 * TensorFlow and changes in place, until `dispose`.
 */
export class FusedAdam {
  readonly #options: Required<AdamOptions>;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly #weights: ReadonlyMap<string, Variables>;
  #step: number;

  constructor({ step, weights }: AdamState, options: AdamOptions = {}) {
    this.#options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, ...options };
    this.#step = step;
    this.#shapes = new Map([...weights].map(([name, { shape }]) => [name, shape] as const));
    this.#weights = new Map(
      [...weights].map(([name, { shape, value, first, second }]) =>
        [name, {
          value: createVariable(shape, value),
          first: createVariable(shape, first),
          second: createVariable(shape, second),
        }] as const
      ),
    );
  }

  /**
   * The weights as they are. The caller disposes them, before the next step: what somebody holds on to can't be changed in
   * place and is copied.
   */
  values(): ReadonlyMap<string, Tensor> {
    return new Map([...this.#weights].map(([name, { value }]) => [name, read(value)] as const));
  }

  names(): Iterable<string> {
    return this.#weights.keys();
  }

  /** The variables that `values` reads and `apply` changes: the same tensors in the same order for the same weights. */
  variables(): Tensor[] {
    return [...this.#weights.values()].flatMap(({ value, first, second }) => [value, first, second]);
  }

  /** Counts a step and gives the scalars that `apply` wants for it; the caller disposes them. */
  nextStep(learningRate: number): readonly Tensor[] {
    const { beta1, beta2, epsilon } = this.#options;
    this.#step += 1;
    const scalars = [beta1 ** this.#step, beta2 ** this.#step, learningRate, beta1, beta2, epsilon];
    return scalars.map((value) => tf.scalar(value));
  }

  /** Moves every weight that has a gradient under its name. The gradients stay the caller's. */
  apply(gradients: ReadonlyMap<string, Tensor>, scalars: readonly Tensor[]): void {
    for (const [name, { value, first, second }] of this.#weights) {
      const gradient = gradients.get(name);
      if (gradient === undefined) continue;
      runOperation(
        "ResourceApplyAdam",
        [["T", "type", "float32"], ["use_locking", "bool", false], ["use_nesterov", "bool", false]],
        [value, first, second, ...scalars, gradient],
        0,
      );
    }
  }

  state(): AdamState {
    const weights = [...this.#weights].map(([name, { value, first, second }]) =>
      [name, {
        shape: this.#shapes.get(name)!,
        value: readValues(value),
        first: readValues(first),
        second: readValues(second),
      }] as const
    );
    return { step: this.#step, weights: new Map(weights) };
  }

  dispose(): void {
    for (const { value, first, second } of this.#weights.values()) {
      [value, first, second].forEach(destroyVariable);
    }
  }
}
