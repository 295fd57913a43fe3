import type { Tensor, Variable } from "@tensorflow/tfjs";
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

/** What an optimiser must remember besides the weights, to go on elsewhere exactly where it was. */
export interface AdamState {
  /** Steps taken. */
  readonly step: number;
  /** Per variable's name the averages of the gradient and of its square, shaped like the variable. */
  readonly moments: ReadonlyMap<string, { readonly first: Tensor; readonly second: Tensor }>;
}

/** TensorFlow's own variables for one `tf.Variable`, held by handle. */
interface Slot {
  readonly shape: readonly number[];
  readonly value: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

const float: Attribute = ["dtype", "type", "float32"];

const write = (handle: Tensor, value: Tensor): void =>
  void runOperation("AssignVariableOp", [float], [handle, value], 0);

const read = (handle: Tensor): Tensor => runOperation("ReadVariableOp", [float], [handle], 1)[0] as Tensor;

const createHandle = (shape: readonly number[]): Tensor => {
  const [handle] = runOperation(
    "VarHandleOp",
    [float, ["shape", "shape", shape], ["container", "string", ""], [
      "shared_name",
      "string",
      crypto.randomUUID(),
    ]],
    [],
    1,
  ) as [Tensor];
  return tf.keep(handle);
};

const createSlot = (shape: readonly number[], first: Tensor, second: Tensor): Slot => {
  const slot = { shape, value: createHandle(shape), first: createHandle(shape), second: createHandle(shape) };
  write(slot.first, first);
  write(slot.second, second);
  return slot;
};

const destroySlot = (slot: Slot): void => {
  for (const handle of [slot.value, slot.first, slot.second]) {
    runOperation("DestroyResourceOp", [["ignore_lookup_error", "bool", true]], [handle], 0);
    handle.dispose();
  }
};

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, axis) => size === b[axis]);

/**
 * Adam (Kingma & Ba, 2015, algorithm 1 in the efficient form at the end of section 2) as TensorFlow's fused
 * ResourceApplyAdam: one operation per variable instead of some fifteen. The moments live in TensorFlow until
 * `dispose`; the weights stay ordinary `tf.Variable`s that anybody may assign in between.
 */
export class FusedAdam {
  readonly #options: Required<AdamOptions>;
  readonly #slots = new Map<string, Slot>();
  #step = 0;

  constructor(options: AdamOptions = {}) {
    this.#options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, ...options };
  }

  /**
   * One step for every variable that has a gradient under its name (as `tf.variableGrads` returns them). A variable
   * that is new, or whose shape has changed, starts with zero moments. The gradients stay the caller's.
   */
  apply(
    variables: readonly Variable[],
    gradients: Readonly<Record<string, Tensor>>,
    learningRate: number,
  ): void {
    const { beta1, beta2, epsilon } = this.#options;
    this.#step += 1;
    tf.tidy(() => {
      const powers = [beta1 ** this.#step, beta2 ** this.#step, learningRate, beta1, beta2, epsilon];
      const scalars = powers.map((value) => tf.scalar(value));
      for (const variable of variables) {
        const gradient = gradients[variable.name];
        if (gradient === undefined) continue;
        const slot = this.#slotOf(variable);
        write(slot.value, variable);
        runOperation(
          "ResourceApplyAdam",
          [["T", "type", "float32"], ["use_locking", "bool", false], ["use_nesterov", "bool", false]],
          [slot.value, slot.first, slot.second, ...scalars, gradient],
          0,
        );
        variable.assign(read(slot.value));
      }
    });
  }

  /** Copies of the moments; the caller disposes them. */
  state(): AdamState {
    const moments = [...this.#slots].map(([name, { first, second }]) =>
      [name, { first: read(first), second: read(second) }] as const
    );
    return { step: this.#step, moments: new Map(moments) };
  }

  /** Takes over what `state` returned, also that of another process. The tensors stay the caller's. */
  restore(state: AdamState): void {
    this.dispose();
    this.#step = state.step;
    for (const [name, { first, second }] of state.moments) {
      this.#slots.set(name, createSlot(first.shape, first, second));
    }
  }

  /** Forgets the moments of a variable that no longer exists. */
  forget(name: string): void {
    const slot = this.#slots.get(name);
    if (slot !== undefined) destroySlot(slot);
    this.#slots.delete(name);
  }

  dispose(): void {
    for (const name of [...this.#slots.keys()]) this.forget(name);
  }

  #slotOf(variable: Variable): Slot {
    const slot = this.#slots.get(variable.name);
    if (slot !== undefined && sameShape(slot.shape, variable.shape)) return slot;
    this.forget(variable.name);
    const created = createSlot(variable.shape, tf.zerosLike(variable), tf.zerosLike(variable));
    this.#slots.set(variable.name, created);
    return created;
  }
}
