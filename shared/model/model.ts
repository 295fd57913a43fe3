import type { Rank, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { type Backbone, type Freeze, frozenStages, type Views } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { tf } from "@subtaxa/tensorflow";
import type { Checkpoint, TrainingState } from "./checkpoint.ts";
import { newHead } from "./head.ts";
import { Layers } from "./layers.ts";
import { type NetworkInput, networks } from "./networks.ts";
import type { Pretrained } from "./pretrained/mod.ts";
import type { Weights } from "./safetensors.ts";
import { creating, InferenceScope } from "./scopes.ts";
import { SIZES, type SizeScaling } from "./sizes.ts";

export interface NewModel {
  readonly backbone: Backbone;
  /** Side of the images in pixels. */
  readonly imageSize: number;
  readonly classes: readonly string[];
  readonly seed: number;
  /** Folds of one run start from different weights. */
  readonly fold: number;
  /** Default: nothing. */
  readonly freeze?: Freeze;
  /** Views of an image that are averaged. Default: the image alone. */
  readonly views?: Views;
  /** How the sizes of images become features. Default: they are none. */
  readonly sizeScaling?: SizeScaling | null;
  /** What the backbone starts from. Default: random weights. */
  readonly pretrained?: Pretrained | null;
}

/**
 * A model before its first epoch, with one head row per class, sub-class 0. Embedding and head are seeded and random, and so
 * is the backbone unless it is pretrained, in which case it brings its statistics.
 */
export const newCheckpoint = (model: NewModel): TrainingState => {
  const { backbone, imageSize, classes, seed, fold, freeze = "none", pretrained } = model;
  const { views = 1, sizeScaling = null } = model;
  const network = networks[backbone];
  const convention = pretrained?.convention ?? "keras";
  const { scope, parameters: created } = creating((index) => random(seed, fold, index));
  tf.tidy(() => {
    const x = freeze === "backbone"
      ? tf.zeros<Rank.R2>([1, network.features])
      : tf.zeros<Rank.R4>([1, imageSize, imageSize, 3]);
    const sizes = sizeScaling === null ? {} : { sizes: tf.zeros<Rank.R2>([1, SIZES]) };
    network.forward(new Layers(scope, convention), { x, ...sizes });
  });
  const all = [...created].map(([name, weights]) =>
    [name, pretrained?.parameters.get(name) ?? weights] as const
  );
  const stages = frozenStages(backbone, freeze) ?? [];
  const isFrozen = ([name]: readonly [string, unknown]) => stages.some((stage) => name.startsWith(stage));
  return {
    backbone,
    imageSize,
    classes,
    preprocessing: pretrained?.preprocessing ?? network.preprocessing,
    convention,
    freeze,
    views,
    sizeScaling,
    seed,
    epoch: 0,
    parameters: new Map(
      all.filter((entry) => !isFrozen(entry)).map(([name, { shape, values }]) => [name, {
        shape,
        value: values,
        first: new Float32Array(values.length),
        second: new Float32Array(values.length),
      }]),
    ),
    frozen: new Map(all.filter(isFrozen)),
    steps: 0,
    statistics: freeze === "backbone" ? new Map() : pretrained?.statistics ?? new Map(),
    head: newHead(
      classes.map((_, index) => ({ class: index, id: 0 })),
      network.embedding,
      random(seed, fold, created.size),
    ),
  };
};

/** A trained model in TensorFlow's memory, for inference. */
export interface Model {
  /** N images, one view of each → embeddings N × width. */
  embed(input: NetworkInput): Tensor2D;
  /** Embeddings → logits N × rows of the head. */
  logits(embeddings: Tensor2D): Tensor2D;
  dispose(): void;
}

const upload = (weights: ReadonlyMap<string, Weights>) =>
  new Map([...weights].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])] as const));

/** Brings a checkpoint's weights and statistics into memory; the caller disposes the model. */
export const loadModel = (checkpoint: Checkpoint): Model => {
  const { head, statistics, frozen, convention } = checkpoint;
  const trained = [...checkpoint.parameters].map(([name, { shape, value }]) =>
    [name, { shape, values: value }] as const
  );
  const parameters = upload(new Map([...frozen, ...trained]));
  const measured = upload(statistics);
  const kernel = tf.tensor2d(head.kernel.value, [head.rows.length, head.width]);
  const bias = tf.tensor1d(head.bias.value);
  const scope = new InferenceScope(parameters, measured);
  const layers = new Layers(scope, convention);
  return {
    embed: (input) => tf.tidy(() => networks[checkpoint.backbone].forward(layers, input)),
    logits: (embeddings) => tf.tidy(() => tf.add(tf.matMul(embeddings, kernel, false, true), bias)),
    dispose: () => {
      scope.dispose();
      tf.dispose([...parameters.values(), ...measured.values(), kernel, bias]);
    },
  };
};

/** A backbone in TensorFlow's memory. */
export interface LoadedBackbone {
  /** Preprocessed images N × side × side × 3 → N × features. */
  pooled(images: Tensor4D): Tensor2D;
  dispose(): void;
}

/** Brings a pretrained backbone into memory; the caller disposes it. */
export const loadBackbone = (
  { backbone, convention, parameters, statistics }: Pretrained,
): LoadedBackbone => {
  const [weights, measured] = [upload(parameters), upload(statistics)];
  const scope = new InferenceScope(weights, measured);
  const layers = new Layers(scope, convention);
  return {
    pooled: (images) => tf.tidy(() => networks[backbone].pooled(layers, images)),
    dispose: () => {
      scope.dispose();
      tf.dispose([...weights.values(), ...measured.values()]);
    },
  };
};
