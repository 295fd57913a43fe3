import type { Backbone } from "@subtaxa/contracts";
import { Dataset, File, Group, ready } from "h5wasm";
import { ModelError } from "../error.ts";
import type { Floats } from "./assemble.ts";
import { type KerasTensor, kerasTensor } from "./keras.ts";
import { namelessLayers } from "./keras_order.ts";

const childrenOf = (group: Group): [string, Group | Dataset][] =>
  group.keys().flatMap((key) => {
    const child = group.get(key);
    return child instanceof Group || child instanceof Dataset ? [[key, child]] : [];
  });

/** Undefined for integers, such as counters and the state of random generators. */
const floats = (dataset: Dataset): Floats | undefined => {
  const { value, shape } = dataset;
  if (value instanceof Float32Array) return { shape: shape ?? [], values: value };
  if (value instanceof Float64Array) return { shape: shape ?? [], values: new Float32Array(value) };
  return undefined;
};

const words = (value: unknown): string[] => Array.isArray(value) ? value.map(String) : [];

/** Keras 2, and Keras 3 with `.h5`: a group for each layer, whose attribute `weight_names` names its datasets. */
const legacy = (root: Group): KerasTensor[] =>
  words(root.attrs["layer_names"]?.value).flatMap((layer) => {
    const group = root.get(layer);
    if (!(group instanceof Group)) return [];
    return words(group.attrs["weight_names"]?.value).flatMap((name) => {
      const dataset = group.get(name);
      const tensor = dataset instanceof Dataset ? floats(dataset) : undefined;
      return tensor ? [kerasTensor(name, tensor, layer)] : [];
    });
  });

/** Variables of one layer of Keras 3, `…/conv2d_1/vars/0`, `1` and so on. */
export interface Variables {
  /** The group that has `vars`. */
  readonly path: string;
  /** The earlier versions of Keras 3 do not tell it. */
  readonly name: string | undefined;
  readonly tensors: readonly (Floats & { readonly part: number })[];
}

/** Keras 3, `.weights.h5`: groups named by the layers' classes; the layer's name is an attribute of `vars`. */
const variables = (group: Group, path: string): Variables[] =>
  childrenOf(group).flatMap(([key, child]) => {
    if (!(child instanceof Group)) return [];
    if (key !== "vars") return variables(child, `${path}/${key}`);
    const tensors = childrenOf(child).flatMap(([index, dataset]) => {
      const tensor = dataset instanceof Dataset ? floats(dataset) : undefined;
      return tensor ? [{ ...tensor, part: Number(index) }] : [];
    });
    const name = child.attrs["name"]?.value;
    return tensors.length === 0 ? [] : [{ path, name: typeof name === "string" ? name : undefined, tensors }];
  });

const modern = (root: Group, backbone: Backbone): KerasTensor[] => {
  const layers = variables(root, "");
  const names = layers.every(({ name }) => name !== undefined)
    ? new Map(layers.map(({ path, name }) => [path, name!]))
    : namelessLayers(layers.map(({ path }) => path), backbone);
  return layers.flatMap(({ path, tensors }) =>
    tensors.map((tensor) => ({ ...tensor, layer: names.get(path) ?? path }))
  );
};

/**
 * The variables of a network in a file of Keras: weights alone or a whole model; `.h5` or `.weights.h5`.
 * Throws `ModelError/Malformed` naming `path`.
 */
export const readKerasH5 = async (path: string, backbone: Backbone): Promise<KerasTensor[]> => {
  await ready;
  const malformed = (detail: string) =>
    new ModelError({ reason: { _tag: "Malformed", file: path }, message: `${path} ${detail}` });
  let file: File | undefined;
  try {
    file = new File(path, "r");
    if (file.attrs["layer_names"]) return legacy(file);
    const model = file.get("model_weights");
    if (model instanceof Group) return legacy(model);
    const layers = file.get("layers");
    if (layers instanceof Group) return modern(layers, backbone);
  } catch (cause) {
    throw malformed(`can't be read as HDF5: ${cause instanceof Error ? cause.message : cause}`);
  } finally {
    file?.close();
  }
  throw malformed(
    "is HDF5, but not of Keras: it has neither the attribute 'layer_names' nor a group 'model_weights' or 'layers'",
  );
};
