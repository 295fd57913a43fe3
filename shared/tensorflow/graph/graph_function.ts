import type { Tensor } from "@tensorflow/tfjs";
import { runOperation } from "../ops/mod.ts";
import { defineFunction, removeFunction } from "./define.ts";
import { attrValueOf, constant, type Node, placeholder } from "./graph_def.ts";
import type { Handle, Operation, Recorded } from "./recording.ts";

/** Operations that change the variable that is their first input. */
const changesVariable = (operation: Operation): boolean => operation.name === "ResourceApplyAdam";

/**
 * What has to be done before a variable is changed: reading it, and whatever takes what was read, because a value that
 * somebody still holds is copied before it is changed.
 */
class VariableOrder {
  readonly #users = new Map<number, Set<string>>();
  /** Value that was read → variable. */
  readonly #sources = new Map<number, number>();

  /** Names of the nodes that `operation`, which becomes `node`, has to wait for. */
  add(node: string, operation: Operation): readonly string[] {
    const { name, inputs, outputs } = operation;
    if (changesVariable(operation)) return [...this.#users.get(inputs[0]!) ?? []];
    if (name === "ReadVariableOp") this.#sources.set(outputs[0]!, inputs[0]!);
    for (const id of [...inputs, ...outputs]) {
      const variable = this.#sources.get(id);
      if (variable !== undefined) {
        this.#users.set(variable, (this.#users.get(variable) ?? new Set()).add(node));
      }
    }
    return [];
  }
}

let defined = 0;

/**
 * Recorded operations as one TensorFlow function: TensorFlow plans them together, runs side by side what does not depend on
 * each other, and frees what nobody needs any more, where a call each would be one after another.
 */
export class GraphFunction {
  readonly #name = `subtaxa_${++defined}`;
  readonly #outputs: number;

  /**
   * @param inputs what the recording takes from outside, in the order of the arguments of `call`
   * @param outputs tensors that `call` returns
   */
  constructor(recording: Recorded, inputs: readonly Handle[], outputs: readonly Handle[]) {
    const places = new Map(inputs.map(({ id }, i) => [id, `input${i}:0`]));
    const nodes: Node[] = inputs.map(({ type }, i) => placeholder(`input${i}`, type));
    const effects: string[] = [];
    const order = new VariableOrder();
    const placeOf = (id: number, wantedBy: string): string => {
      const known = places.get(id);
      if (known !== undefined) return known;
      const values = recording.constants.get(id);
      if (values === undefined) {
        throw new Error(`${wantedBy} takes a tensor that is neither recorded nor an input`);
      }
      nodes.push(constant(`constant${id}`, values));
      places.set(id, `constant${id}:0`);
      return `constant${id}:0`;
    };
    recording.operations.forEach((operation, i) => {
      const name = `node${i}`;
      if (changesVariable(operation)) effects.push(name);
      const input = operation.inputs.map((id) => placeOf(id, operation.name));
      const before = order.add(name, operation).map((node) => `^${node}`);
      const attr = Object.fromEntries(operation.attributes.map((one) => [one.name, attrValueOf(one)]));
      nodes.push({ name, op: operation.name, input: [...input, ...before], attr });
      operation.outputs.forEach((id, output) => places.set(id, `${name}:${output}`));
    });
    defineFunction(this.#name, {
      nodes,
      inputs: inputs.map((_, i) => `input${i}`),
      outputs: outputs.map(({ id }) => placeOf(id, "the result")),
      effects,
    });
    this.#outputs = outputs.length;
  }

  /** The outputs, which belong to the enclosing `tf.tidy`, as usual. It has no gradient. */
  call(inputs: readonly Tensor[]): Tensor[] {
    return runOperation(this.#name, [], inputs, this.#outputs);
  }

  /** Forgets the function. */
  dispose(): void {
    removeFunction(this.#name);
  }
}
