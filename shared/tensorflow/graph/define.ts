import { installedBuild } from "../load.ts";
import { encodeGraph, type Node } from "./graph_def.ts";

const open = (addon: string) =>
  Deno.dlopen(addon, {
    subtaxa_define_function: {
      parameters: ["buffer", "buffer", "usize", "buffer", "buffer", "buffer", "buffer", "usize"],
      result: "void",
    },
    subtaxa_remove_function: { parameters: ["buffer"], result: "void" },
  });

let library: ReturnType<typeof open> | undefined;

/** The add-on that is loaded already, through its other door (scripts/setup/functions.cc). */
const addon = () => (library ??= open(installedBuild()!.addon)).symbols;

const text = (...lines: readonly string[]): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(`${lines.join("\n")}\0`);

export interface Definition {
  readonly nodes: readonly Node[];
  /** Names of placeholders, in the order of the function's inputs. */
  readonly inputs: readonly string[];
  /** `node:output`, in the order of the function's outputs. */
  readonly outputs: readonly string[];
  /** Names of nodes that are executed even if no output needs them. */
  readonly effects: readonly string[];
}

/** Makes the graph a function that can be called by its name like an operation. Throws with what TensorFlow says of it. */
export const defineFunction = (name: string, { nodes, inputs, outputs, effects }: Definition): void => {
  const graph = encodeGraph(nodes);
  const message = new Uint8Array(4096);
  addon().subtaxa_define_function(
    text(name),
    graph,
    BigInt(graph.length),
    text(...inputs),
    text(...outputs),
    text(...effects),
    message,
    BigInt(message.length),
  );
  const said = new TextDecoder().decode(message.subarray(0, message.indexOf(0)));
  if (said !== "") throw new Error(`TensorFlow refuses the function ${name}: ${said}`);
};

export const removeFunction = (name: string): void => addon().subtaxa_remove_function(text(name));
