import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Backbone } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { tf } from "@subtaxa/tensorflow";
import type { Checkpoint } from "./checkpoint.ts";
import { newHead } from "./head.ts";
import { Layers } from "./layers.ts";
import { networks } from "./networks.ts";
import type { Weights } from "./safetensors.ts";
import { creating, inferring } from "./scopes.ts";

export interface NewModel {
  readonly backbone: Backbone;
  /** Side of the images in pixels. */
  readonly imageSize: number;
  readonly classes: readonly string[];
  readonly seed: number;
  /** Folds of one run start from different weights. */
  readonly fold: number;
}

/** An untrained model with one head row per class, sub-class 0: seeded random weights, no statistics yet. */
export const newCheckpoint = ({ backbone, imageSize, classes, seed, fold }: NewModel): Checkpoint => {
  const network = networks[backbone];
  const { scope, parameters } = creating((index) => random(seed, fold, index));
  tf.tidy(() => void network.forward(new Layers(scope), tf.zeros([1, imageSize, imageSize, 3])));
  const rows = classes.map((_, index) => ({ class: index, id: 0 }));
  return {
    backbone,
    imageSize,
    classes,
    preprocessing: network.preprocessing,
    seed,
    epoch: 0,
    parameters: new Map([...parameters].map(([name, { shape, values }]) => [name, {
      shape,
      value: values,
      first: new Float32Array(values.length),
      second: new Float32Array(values.length),
    }])),
    steps: 0,
    statistics: new Map(),
    head: newHead(rows, network.embedding, random(seed, fold, parameters.size)),
  };
};

/** A trained model in TensorFlow's memory, for inference. */
export interface Model {
  /** Preprocessed images N × side × side × 3 → embeddings N × width. */
  embed(images: Tensor4D): Tensor2D;
  /** Embeddings → logits N × rows of the head. */
  logits(embeddings: Tensor2D): Tensor2D;
  dispose(): void;
}

const upload = (weights: ReadonlyMap<string, Weights>) =>
  new Map([...weights].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])] as const));

/** Brings a checkpoint's weights and statistics, without the optimizer's, into memory; the caller disposes the model. */
export const loadModel = (checkpoint: Checkpoint): Model => {
  const { head, statistics } = checkpoint;
  const weights = [...checkpoint.parameters].map(([name, { shape, value }]) =>
    [name, { shape, values: value }] as const
  );
  const parameters = upload(new Map(weights));
  const measured = upload(statistics);
  const kernel = tf.tensor2d(head.kernel.value, [head.rows.length, head.width]);
  const bias = tf.tensor1d(head.bias.value);
  const layers = new Layers(inferring(parameters, measured));
  return {
    embed: (images) => tf.tidy(() => networks[checkpoint.backbone].forward(layers, images)),
    logits: (embeddings) => tf.tidy(() => tf.add(tf.matMul(embeddings, kernel, false, true), bias)),
    dispose: () => tf.dispose([...parameters.values(), ...measured.values(), kernel, bias]),
  };
};
