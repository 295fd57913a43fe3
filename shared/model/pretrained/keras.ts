import type { Backbone } from "@subtaxa/contracts";
import { ModelError } from "../error.ts";
import { type Preprocessing, preprocessings } from "../preprocessing.ts";
import { assemble, type Floats } from "./assemble.ts";
import type { Pretrained } from "./pretrained.ts";
import { type Shapes, shapesOf } from "./shapes.ts";

/** A variable as a file of Keras has it: the layer's name, and the variable's or its number within the layer. */
export interface KerasTensor extends Floats {
  readonly layer: string;
  readonly part: string | number;
}

const convolution = ["kernel", "bias"];
const batchNormalisation = ["gamma", "beta", "moving_mean", "moving_variance"];
/** A layer of Keras' EfficientNet, ahead of the first convolution; Keras numbers those of further networks. */
const NORMALISATION = "normalization";
const isNormalisation = (layer: string) => /^normalization(_\d+)?$/.test(layer);

/** Variables of a layer in the order in which Keras creates them. */
const partsOf = (layer: string, { parameters }: Shapes): readonly string[] => {
  if (isNormalisation(layer)) return ["mean", "variance"];
  return parameters.has(`${layer}/gamma`) ? batchNormalisation : convolution;
};

/** Keras' EfficientNet also divides by these roots, but only where it is made with `weights="imagenet"`. */
const IMAGENET_VARIANCE = [0.229, 0.224, 0.225];

/**
 * What happens to pixels ahead of the first convolution: Keras' EfficientNet divides by 255, then its layer
 * `normalization` has a mean and a variance. ImageNet's are published with the standard deviation in the place of the
 * variance; a second division, of which the file says nothing, makes up for that.
 */
const preprocessingOf = (
  backbone: Backbone,
  mean: ArrayLike<number> | undefined,
  variance: ArrayLike<number> | undefined,
): Preprocessing => {
  if (backbone === "resnet50") return preprocessings.caffe;
  if (backbone === "small") return preprocessings.symmetric;
  if (mean?.length !== 3 || variance?.length !== 3) return preprocessings.torch;
  const published = IMAGENET_VARIANCE.every((value, c) => Math.abs(value - variance[c]!) < 1e-4);
  const scale = (c: number) => 1 / (published ? variance[c]! : Math.sqrt(variance[c]!));
  const channels = [0, 1, 2] as const;
  const [r, g, b] = channels.map(scale) as [number, number, number];
  return {
    channels: "rgb",
    scale: [r, g, b],
    offset: [-mean[0]! * r, -mean[1]! * g, -mean[2]! * b],
  };
};

/**
 * Weights in the names of Keras Applications, which are ours. Layers with a dense kernel are a classifier, and ignored.
 * Throws `ModelError/Mismatch`.
 */
export const fromKeras = (
  found: readonly KerasTensor[],
  file: string,
  backbone: Backbone,
  hint?: string,
): Pretrained => {
  const shapes = shapesOf(backbone);
  const tensors = new Map<string, Floats>();
  for (const { layer: named, part, shape, values } of found) {
    const layer = isNormalisation(named) ? NORMALISATION : named;
    const word = typeof part === "number" ? partsOf(layer, shapes)[part] ?? String(part) : part;
    const name = `${layer}/${word === "depthwise_kernel" ? "kernel" : word}`;
    if (tensors.has(name)) {
      throw new ModelError({
        reason: { _tag: "Mismatch", file, layer },
        message:
          `${file} holds the layer '${layer}' twice: save the network alone, without what was built around it`,
      });
    }
    tensors.set(name, { shape, values });
  }
  const dense = new Set(found.filter(({ shape }) => shape.length === 2).map(({ layer }) => layer));
  const ignored = (name: string) => {
    const layer = name.slice(0, name.lastIndexOf("/"));
    return layer === NORMALISATION || dense.has(layer);
  };
  const source = (name: string) => ({ name });
  const normalisation = (part: string) => tensors.get(`${NORMALISATION}/${part}`)?.values;
  return {
    backbone,
    convention: "keras",
    preprocessing: preprocessingOf(backbone, normalisation("mean"), normalisation("variance")),
    ...assemble({ file, backbone, tensors, source, ignored, ...(hint === undefined ? {} : { hint }) }),
  };
};

/** The name of a variable as `a/b/layer/part:0`; `layer` where the name has none. */
export const kerasTensor = (name: string, tensor: Floats, layer?: string): KerasTensor => {
  const words = name.replace(/:\d+$/, "").split("/");
  const part = words.pop()!;
  return { ...tensor, layer: words.pop() ?? layer ?? "", part };
};
