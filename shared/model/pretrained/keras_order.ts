import type { Backbone } from "@subtaxa/contracts";
import { shapesOf } from "./shapes.ts";

/** Where Keras puts the projection of a shortcut, `_0_`: ahead of the third convolution, to which it runs parallel. */
const rank = (layer: string): number => {
  const part = /_(\d)_(?:conv|bn)$/.exec(layer)?.[1];
  return part === undefined ? 0 : part === "0" ? 2.5 : Number(part);
};

const blockOf = (layer: string) => layer.replace(/_\d_(?:conv|bn)$/, "");

/** The layers of a network in Keras' order, by the class that Keras names their groups after. */
const kerasLayers = (backbone: Backbone): Map<string, string[]> => {
  const { parameters } = shapesOf(backbone);
  const names = [...new Set([...parameters.keys()].map((name) => name.slice(0, name.lastIndexOf("/"))))];
  const blocks = [...new Set(names.map(blockOf))];
  const place = new Map(blocks.map((block, index) => [block, index]));
  names.sort((a, b) => place.get(blockOf(a))! - place.get(blockOf(b))! || rank(a) - rank(b));
  const classOf = (name: string) => {
    if (parameters.has(`${name}/gamma`)) return "batch_normalization";
    return name.endsWith("dwconv") ? "depthwise_conv2d" : "conv2d";
  };
  return Map.groupBy(names, classOf);
};

/**
 * The layers' names for the groups of a file of the earlier versions of Keras 3, which knows only their classes and
 * their order: `conv2d`, `conv2d_1`, …
 */
export const namelessLayers = (paths: readonly string[], backbone: Backbone): Map<string, string> => {
  const layers = kerasLayers(backbone);
  return new Map(paths.flatMap((path) => {
    const [, kind, number = "0"] = /([a-z_]+?(?:2d)?)(?:_(\d+))?$/.exec(path) ?? [];
    if (kind === "normalization") return [[path, kind] as const];
    const name = layers.get(kind ?? "")?.[Number(number)];
    return name === undefined ? [] : [[path, name] as const];
  }));
};
