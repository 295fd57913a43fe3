import { Backbone, Freeze, type RunSpec, Views } from "@subtaxa/contracts";
import { z } from "zod";
import { ModelError } from "./error.ts";
import type { Head, HeadValues, Trained } from "./head.ts";
import { Convention } from "./layers.ts";
import { Preprocessing } from "./preprocessing.ts";
import { readSafetensors, type Weights, writeSafetensors } from "./safetensors.ts";
import { SizeScaling } from "./sizes.ts";

/** A trainable tensor of the network. */
export interface Parameter extends Pick<Trained, "value"> {
  readonly shape: readonly number[];
}

/** A model at rest: what embeds and classifies. */
export interface Checkpoint {
  readonly backbone: Backbone;
  /** Side of the images it was trained on, pixels. */
  readonly imageSize: number;
  /** The original classes; head rows refer to them by index. */
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly convention: Convention;
  /** What is not trained: with `backbone`, all but embedding and head, and of that nothing is in here. */
  readonly freeze: Freeze;
  /** Views of an image whose embeddings are averaged in inference; frozen features are of as many. */
  readonly views: Views;
  /** How the sizes of images become features; null: the network takes none. */
  readonly sizeScaling: SizeScaling | null;
  readonly seed: number;
  /** Finished epochs. */
  readonly epoch: number;
  /** The trainable tensors. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Those of the frozen stages. */
  readonly frozen: ReadonlyMap<string, Weights<Float32Array>>;
  /** `<layer>/moving_mean` and `<layer>/moving_variance`; empty before the first epoch of random weights. */
  readonly statistics: ReadonlyMap<string, Weights<Float32Array>>;
  readonly head: HeadValues;
}

/** A checkpoint together with the optimizer: all that training needs to go on as if it had not been interrupted. */
export interface TrainingState extends Checkpoint {
  /** The trainable tensors with Adam's moments. */
  readonly parameters: ReadonlyMap<string, Parameter & Trained>;
  /** Adam steps that `parameters` have taken; the head's rows count their own. */
  readonly steps: number;
  readonly head: Head;
}

const VERSION = 2;
const METADATA_KEY = "subtaxa";

/** What the tensors of a checkpoint alone do not say, as JSON in the file's metadata. */
const Description = z.object({
  v: z.literal(VERSION),
  backbone: Backbone,
  imageSize: z.number().int().min(1),
  classes: z.array(z.string()).min(2),
  preprocessing: Preprocessing,
  convention: Convention.default("keras"),
  freeze: Freeze.default("none"),
  views: Views.default(1),
  sizeScaling: SizeScaling.nullable().default(null),
  seed: z.number().int(),
  epoch: z.number().int().min(0),
  rows: z.array(z.object({ class: z.number().int().min(0), id: z.number().int().min(0) })).min(1),
});

/** The same of the optimizer: the epoch is that of its checkpoint. */
const OptimizerDescription = z.object({ v: z.literal(VERSION), epoch: z.number().int().min(0) });

const kinds = { parameter: "model/", frozen: "frozen/", statistic: "statistics/" };
const moments = { first: "adam/m/", second: "adam/v/" };
const [HEAD_KERNEL, HEAD_BIAS] = ["head/kernel", "head/bias"];
const [STEPS, HEAD_STEPS] = ["adam/steps", "adam/head_steps"];

const kernelShape = ({ rows, width }: HeadValues) => [rows.length, width];
const biasShape = ({ rows }: HeadValues) => [rows.length];

/** All that is trained, the head included, under the names that files have. */
const trainable = <T extends Pick<Trained, "value">>(
  parameters: ReadonlyMap<string, T & Parameter>,
  head: HeadValues & { readonly kernel: T; readonly bias: T },
): readonly (readonly [name: string, T & Parameter])[] => [
  ...parameters,
  [HEAD_KERNEL, { ...head.kernel, shape: kernelShape(head) }],
  [HEAD_BIAS, { ...head.bias, shape: biasShape(head) }],
];

const prefixed = <T extends { readonly shape: readonly number[] }>(
  prefix: string,
  all: Iterable<readonly [name: string, T]>,
  values: (one: T) => Float32Array,
) => Array.from(all, ([name, one]) => [prefix + name, { shape: one.shape, values: values(one) }] as const);

const write = (tensors: ReadonlyMap<string, Weights>, description: object): Uint8Array<ArrayBuffer> =>
  writeSafetensors({ tensors, metadata: { [METADATA_KEY]: JSON.stringify(description) } });

/** Safetensors bytes: weights under `model/`, head included, and batch statistics; the rest as metadata. */
export const encodeCheckpoint = (checkpoint: Checkpoint): Uint8Array<ArrayBuffer> => {
  const { parameters, frozen, statistics, head, ...others } = checkpoint;
  const tensors = new Map([
    ...prefixed(kinds.parameter, trainable(parameters, head), ({ value }) => value),
    ...prefixed(kinds.frozen, frozen, ({ values }) => values),
    ...prefixed(kinds.statistic, statistics, ({ values }) => values),
  ]);
  return write(tensors, Description.parse({ v: VERSION, ...others, rows: head.rows }));
};

/** Safetensors bytes: Adam's moments and step counts, to be kept beside the checkpoint of the same state. */
export const encodeOptimizer = (state: TrainingState): Uint8Array<ArrayBuffer> => {
  const { parameters, steps, head, epoch } = state;
  const trained = trainable<Trained>(parameters, head);
  const tensors = new Map<string, Weights>([
    ...prefixed(moments.first, trained, ({ first }) => first),
    ...prefixed(moments.second, trained, ({ second }) => second),
    [STEPS, { shape: [1], values: Int32Array.of(steps) }],
    [HEAD_STEPS, { shape: biasShape(head), values: head.steps }],
  ]);
  return write(tensors, OptimizerDescription.parse({ v: VERSION, epoch }));
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** The tensors of a file and its description; all that is wrong is said as `ModelError/Malformed` with `what` the file isn't. */
const open = <D>(bytes: Uint8Array, file: string, description: z.ZodType<D>, what: string) => {
  const malformed = (detail: string) =>
    new ModelError({
      reason: { _tag: "Malformed", file },
      message: `${file} is not ${what}: ${detail}`,
    });
  const { tensors, metadata } = readSafetensors(bytes, file);
  const parsed = description.safeParse(parseJson(metadata[METADATA_KEY] ?? ""));
  if (!parsed.success) throw malformed(`its metadata are wrong: ${z.prettifyError(parsed.error)}`);
  const floats = (name: string, shape?: readonly number[]): Weights<Float32Array> => {
    const { values, shape: actual } = tensors.get(name) ?? {};
    if (!(values instanceof Float32Array) || !actual) throw malformed(`float tensor '${name}' is missing`);
    if (shape && shape.join() !== actual.join()) {
      throw malformed(`tensor '${name}' has the shape [${actual}], not [${shape}]`);
    }
    return { shape: actual, values };
  };
  const integers = (name: string, length: number): Int32Array => {
    const values = tensors.get(name)?.values;
    if (values instanceof Int32Array && values.length === length) return values;
    throw malformed(`integer tensor '${name}' of ${length} values is missing`);
  };
  const all = (prefix: string): ReadonlyMap<string, Weights<Float32Array>> =>
    new Map(
      [...tensors.keys()].filter((name) => name.startsWith(prefix))
        .map((name) => [name.slice(prefix.length), floats(name)]),
    );
  return { description: parsed.data, malformed, floats, integers, all };
};

/** Throws `ModelError/Malformed` for bytes that are no complete checkpoint. `file` is named in the message. */
export const decodeCheckpoint = (bytes: Uint8Array, file: string): Checkpoint => {
  const { description, malformed, floats, all } = open(bytes, file, Description, "a checkpoint of Subtaxa");
  const { v: _, rows, ...others } = description;
  const kernel = floats(kinds.parameter + HEAD_KERNEL);
  const bias = floats(kinds.parameter + HEAD_BIAS);
  const [rowCount, width] = kernel.shape;
  const fits = rowCount === rows.length && kernel.shape.length === 2 &&
    bias.shape.join() === String(rows.length);
  if (!fits || rows.some((row) => row.class >= others.classes.length)) {
    throw malformed(`its head of shape [${kernel.shape}] does not fit its ${rows.length} rows`);
  }
  const parameters = [...all(kinds.parameter)].filter(([name]) => name !== HEAD_KERNEL && name !== HEAD_BIAS);
  return {
    ...others,
    parameters: new Map(parameters.map(([name, { shape, values: value }]) => [name, { shape, value }])),
    frozen: all(kinds.frozen),
    statistics: all(kinds.statistic),
    head: { rows, width: width!, kernel: { value: kernel.values }, bias: { value: bias.values } },
  };
};

/**
 * The checkpoint with the optimizer's part of the same epoch. Throws `ModelError/Malformed` for bytes that are not complete,
 * or belong to another checkpoint.
 */
export const withOptimizer = (checkpoint: Checkpoint, bytes: Uint8Array, file: string): TrainingState => {
  const { description, malformed, floats, integers } = open(
    bytes,
    file,
    OptimizerDescription,
    "an optimizer's state of Subtaxa",
  );
  const { parameters, head, epoch } = checkpoint;
  if (description.epoch !== epoch) {
    throw malformed(`it is of epoch ${description.epoch}, the checkpoint of epoch ${epoch}`);
  }
  const trained = (name: string, shape: readonly number[], value: Float32Array): Trained => ({
    value,
    first: floats(moments.first + name, shape).values,
    second: floats(moments.second + name, shape).values,
  });
  return {
    ...checkpoint,
    parameters: new Map(
      [...parameters].map(([name, { shape, value }]) => [name, { shape, ...trained(name, shape, value) }]),
    ),
    steps: integers(STEPS, 1)[0]!,
    head: {
      ...head,
      kernel: trained(HEAD_KERNEL, kernelShape(head), head.kernel.value),
      bias: trained(HEAD_BIAS, biasShape(head), head.bias.value),
      steps: integers(HEAD_STEPS, head.rows.length),
    },
  };
};

/** Throws `ModelError/Incompatible` unless the checkpoint is of a run with this network, image size and these classes. */
export const requireSameRun = (checkpoint: Checkpoint, spec: RunSpec, file: string): void => {
  const own = { ...checkpoint, sizeFeatures: checkpoint.sizeScaling !== null };
  const differs = (["backbone", "imageSize", "classes", "freeze", "views", "sizeFeatures"] as const).find(
    (key) => JSON.stringify(own[key]) !== JSON.stringify(spec[key]),
  );
  if (differs === undefined) return;
  throw new ModelError({
    reason: { _tag: "Incompatible", file },
    message: `checkpoint ${file} is of another run: its ${differs} is ${own[differs]}, ` +
      `the run's ${spec[differs]}`,
  });
};

/** Reads and checks the checkpoint of a run. Throws `ModelError`. */
export const readCheckpoint = (file: string, spec: RunSpec): Checkpoint => {
  const checkpoint = decodeCheckpoint(Deno.readFileSync(file), file);
  requireSameRun(checkpoint, spec, file);
  return checkpoint;
};
