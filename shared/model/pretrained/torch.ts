import type { Backbone } from "@subtaxa/contracts";
import { basename } from "node:path";
import { z } from "zod";
import { ModelError } from "../error.ts";
import type { Convention } from "../layers.ts";
import { type Preprocessing, preprocessings } from "../preprocessing.ts";
import { readSafetensors } from "../safetensors.ts";
import { assemble, type Floats, type Source } from "./assemble.ts";
import type { Pretrained } from "./pretrained.ts";

/** Parts of a layer, by Keras' names, as PyTorch calls them. */
const parts: Readonly<Record<string, string>> = {
  kernel: "weight",
  bias: "bias",
  gamma: "weight",
  beta: "bias",
  moving_mean: "running_mean",
  moving_variance: "running_var",
};

type LayerName = (layer: string) => string;

const named = (layer: string, names: Readonly<Record<string, string>>): string => {
  const name = names[layer];
  if (name === undefined) throw new Error(`no PyTorch name is known for the layer '${layer}'`);
  return name;
};

/** torchvision and timm agree. */
const resnet50: LayerName = (layer) => {
  const [, stage, block, part, kind] = /^conv(\d)_block(\d)_(\d)_(conv|bn)$/.exec(layer) ?? [];
  if (stage === undefined) return named(layer, { conv1_conv: "conv1", conv1_bn: "bn1" });
  const inner = part === "0" ? `downsample.${kind === "conv" ? 0 : 1}` : `${kind}${part}`;
  return `layer${Number(stage) - 1}.${Number(block) - 1}.${inner}`;
};

const inBlock = (layer: string) => {
  const [, stage, letter, part] = /^block(\d)([a-d])_(\w+)$/.exec(layer) ?? [];
  return stage === undefined
    ? undefined
    : { stage: Number(stage), block: "abcd".indexOf(letter!), part: part!, expands: stage !== "1" };
};

const efficientNetTorchvision: LayerName = (layer) => {
  const found = inBlock(layer);
  if (!found) {
    return named(layer, {
      stem_conv: "features.0.0",
      stem_bn: "features.0.1",
      top_conv: "features.8.0",
      top_bn: "features.8.1",
    });
  }
  const { stage, block, part, expands } = found;
  const dw = expands ? 1 : 0;
  return `features.${stage}.${block}.block.` + named(part, {
    expand_conv: "0.0",
    expand_bn: "0.1",
    dwconv: `${dw}.0`,
    bn: `${dw}.1`,
    se_reduce: `${dw + 1}.fc1`,
    se_expand: `${dw + 1}.fc2`,
    project_conv: `${dw + 2}.0`,
    project_bn: `${dw + 2}.1`,
  });
};

const efficientNetTimm: LayerName = (layer) => {
  const found = inBlock(layer);
  if (!found) {
    return named(layer, { stem_conv: "conv_stem", stem_bn: "bn1", top_conv: "conv_head", top_bn: "bn2" });
  }
  const { stage, block, part, expands } = found;
  const common = { dwconv: "conv_dw", se_reduce: "se.conv_reduce", se_expand: "se.conv_expand" };
  const others = expands
    ? { expand_conv: "conv_pw", expand_bn: "bn1", bn: "bn2", project_conv: "conv_pwl", project_bn: "bn3" }
    : { bn: "bn1", project_conv: "conv_pw", project_bn: "bn2" };
  return `blocks.${stage - 1}.${block}.${named(part, { ...common, ...others })}`;
};

const layerName = (
  backbone: Backbone,
  tensors: ReadonlyMap<string, Floats>,
  file: string,
): LayerName => {
  if (backbone === "resnet50") return resnet50;
  if (backbone === "efficientnet-b0") {
    return tensors.has("conv_stem.weight") ? efficientNetTimm : efficientNetTorchvision;
  }
  throw new ModelError({
    reason: { _tag: "Mismatch", file, layer: "stem_conv" },
    message:
      `${file} is of PyTorch, in which there is no network '${backbone}': choose resnet50 or efficientnet-b0`,
  });
};

/** Where PyTorch keeps one of our tensors: filters × channels × height × width. */
const sourceOf = (layer: LayerName) => (name: string, shape: readonly number[]): Source => {
  const [ours, part] = name.split("/") as [string, string];
  const theirs = `${layer(ours)}.${parts[part]}`;
  if (part !== "kernel") return { name: theirs, optional: part === "bias" && ours.endsWith("_conv") };
  const depthwise = ours.endsWith("dwconv") && shape[3] === 1;
  return { name: theirs, axes: depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0] };
};

const Triple = z.tuple([z.number(), z.number(), z.number()]);
/** What timm publishes beside its weights. */
const Config = z.object({
  architecture: z.string(),
  pretrained_cfg: z.object({ mean: Triple, std: Triple }).partial().optional(),
});

/** From `config.json` as timm writes it; torchvision's where there is none. */
const meaning = (config: unknown): { convention: Convention; preprocessing: Preprocessing } => {
  const { architecture = "", pretrained_cfg: { mean, std } = {} } = Config.safeParse(config).data ?? {};
  return {
    // timm's tf_ networks were ported from TensorFlow, with its padding and epsilon.
    convention: architecture.startsWith("tf_") ? "keras" : "torch",
    preprocessing: mean && std
      ? {
        channels: "rgb",
        scale: [1 / std[0], 1 / std[1], 1 / std[2]],
        offset: [-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2]],
      }
      : preprocessings.torch,
  };
};

const isCounter = (name: string) => name.endsWith(".num_batches_tracked");
const isHead = (name: string) => /^(fc|classifier|head)\./.test(name);

/**
 * Weights of torchvision's or timm's network in safetensors. `config`: the content of timm's `config.json`, if there is
 * one; without it, timm's `tf_` networks can't be told from its others, and are read as those. Convolutions without
 * biases get zeros for them.
 */
export const fromTorch = (
  bytes: Uint8Array,
  file: string,
  backbone: Backbone,
  config?: unknown,
): Pretrained => {
  const floats = new Map<string, Floats>();
  for (const [name, { shape, values }] of readSafetensors(bytes, file, isCounter).tensors) {
    if (values instanceof Float32Array) floats.set(name, { shape, values });
  }
  const source = sourceOf(layerName(backbone, floats, basename(file)));
  const tensors = assemble({ file, backbone, tensors: floats, source, ignored: isHead });
  return { backbone, ...meaning(config), ...tensors };
};
