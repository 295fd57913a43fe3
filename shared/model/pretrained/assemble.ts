import type { Backbone } from "@subtaxa/contracts";
import { ModelError } from "../error.ts";
import type { Weights } from "../safetensors.ts";
import type { Pretrained } from "./pretrained.ts";
import { shapesOf } from "./shapes.ts";

export type Floats = Weights<Float32Array>;

/** What a file calls one of our tensors, and how it keeps it. */
export interface Source {
  readonly name: string;
  /** The file's axis for each of ours; absent: the same order. */
  readonly axes?: readonly number[];
  /** Zeros, where the file does without. */
  readonly optional?: boolean;
}

const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** Values reordered such that axis i of the result is axis `axes[i]` of `from`. */
export const transposed = ({ shape, values }: Floats, axes: readonly number[]): Floats => {
  const result = axes.map((axis) => shape[axis]!);
  const strides = axes.map((axis) => size(shape.slice(axis + 1)));
  const output = new Float32Array(values.length);
  let next = 0;
  const walk = (depth: number, at: number): void => {
    const [side, stride] = [result[depth]!, strides[depth]!];
    if (depth === result.length - 1) {
      for (let i = 0; i < side; i++) output[next++] = values[at + i * stride]!;
    } else {
      for (let i = 0; i < side; i++) walk(depth + 1, at + i * stride);
    }
  };
  walk(0, 0);
  return { shape: result, values: output };
};

const split = (name: string): [layer: string, part: string] => {
  const at = name.lastIndexOf("/");
  return [name.slice(0, at), name.slice(at + 1)];
};

export interface Assembly {
  readonly file: string;
  readonly backbone: Backbone;
  /** The file's tensors by its own names. */
  readonly tensors: ReadonlyMap<string, Floats>;
  /** Where one of our tensors is found. */
  readonly source: (name: string, shape: readonly number[]) => Source;
  /** Tensors that are no part of the network up to the pooled features, such as a classifier's. */
  readonly ignored: (name: string) => boolean;
  /** What may help where a tensor is missing. */
  readonly hint?: string;
}

/**
 * The network's tensors out of a file's. Throws `ModelError/Mismatch` naming file, layer, what was expected and what was
 * found: unless every tensor of the network is there in its shape, and nothing else but what is ignored.
 */
export const assemble = (
  { file, backbone, tensors, source, ignored, hint }: Assembly,
): Pick<Pretrained, "parameters" | "statistics"> => {
  const mismatch = (layer: string, detail: string) =>
    new ModelError({
      reason: { _tag: "Mismatch", file, layer },
      message: `${file} does not hold the weights of ${backbone}: ${detail}`,
    });
  const shapes = shapesOf(backbone);
  const sources = new Map(
    [...shapes.parameters, ...shapes.statistics].map(([name, shape]) => [name, source(name, shape)] as const),
  );
  const missing = [...sources].filter(([, { name, optional }]) => !optional && !tensors.has(name));
  const [first] = missing;
  if (first) {
    const [layer, part] = split(first[0]);
    const more = missing.length === 1 ? "" : `, and ${missing.length - 1} more tensors are missing`;
    throw mismatch(
      layer,
      `layer '${layer}' should have its ${part} in a tensor '${first[1].name}', which the file lacks${more}` +
        (hint ? `; ${hint}` : ""),
    );
  }
  const take = (wanted: ReadonlyMap<string, readonly number[]>) =>
    new Map([...wanted].map(([name, shape]) => {
      const { name: theirs, axes } = sources.get(name)!;
      const found = tensors.get(theirs);
      if (!found) return [name, { shape, values: new Float32Array(size(shape)) }] as const;
      const fits = !axes || found.shape.length === axes.length;
      const ours = axes && fits ? transposed(found, axes) : found;
      if (!fits || ours.shape.join() !== shape.join()) {
        const [layer, part] = split(name);
        const expected = axes ? axes.map((_, axis) => shape[axes.indexOf(axis)]) : shape;
        throw mismatch(
          layer,
          `layer '${layer}' should have a ${part} of shape [${expected}], '${theirs}' is of shape [${found.shape}]`,
        );
      }
      return [name, { shape, values: ours.values }] as const;
    }));
  const parameters = take(shapes.parameters);
  const statistics = take(shapes.statistics);
  const used = new Set([...sources.values()].map(({ name }) => name));
  const superfluous = [...tensors.keys()].find((name) => !used.has(name) && !ignored(name));
  if (superfluous !== undefined) {
    const [layer] = split(superfluous.replaceAll(".", "/"));
    throw mismatch(
      layer,
      `its tensor '${superfluous}' of shape [${
        tensors.get(superfluous)!.shape
      }] belongs to no layer of that network`,
    );
  }
  return { parameters, statistics };
};
