import { Backbone, Freeze, type RunSpec } from "@subtaxa/contracts";
import { z } from "zod";
import { ModelError } from "./error.ts";
import type { Head, Trained } from "./head.ts";
import { Convention } from "./layers.ts";
import { Preprocessing } from "./preprocessing.ts";
import { readSafetensors, type Weights, writeSafetensors } from "./safetensors.ts";

/** A trainable tensor of the network with Adam's moments. */
export interface Parameter extends Trained {
  readonly shape: readonly number[];
}

/** A model at rest, with all that training needs to go on as if it had not been interrupted. */
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
  readonly seed: number;
  /** Finished epochs. */
  readonly epoch: number;
  /** The trainable tensors. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Those of the frozen stages. */
  readonly frozen: ReadonlyMap<string, Weights<Float32Array>>;
  /** Adam steps that `parameters` have taken; the head's rows count their own. */
  readonly steps: number;
  /** `<layer>/moving_mean` and `<layer>/moving_variance`; empty before the first epoch of random weights. */
  readonly statistics: ReadonlyMap<string, Weights<Float32Array>>;
  readonly head: Head;
}

const VERSION = 1;
const METADATA_KEY = "subtaxa";

/** What the tensors alone do not say, as JSON in the file's metadata. */
const Description = z.object({
  v: z.literal(VERSION),
  backbone: Backbone,
  imageSize: z.number().int().min(1),
  classes: z.array(z.string()).min(2),
  preprocessing: Preprocessing,
  convention: Convention.default("keras"),
  freeze: Freeze.default("none"),
  seed: z.number().int(),
  epoch: z.number().int().min(0),
  rows: z.array(z.object({ class: z.number().int().min(0), id: z.number().int().min(0) })).min(1),
});

const kinds = {
  parameter: "model/",
  frozen: "frozen/",
  statistic: "statistics/",
  first: "adam/m/",
  second: "adam/v/",
};
const [HEAD_KERNEL, HEAD_BIAS] = ["head/kernel", "head/bias"];
const [STEPS, HEAD_STEPS] = ["adam/steps", "adam/head_steps"];

/** Safetensors bytes: weights under `model/`, batch statistics, Adam's moments and step counts; the rest as metadata. */
export const encodeCheckpoint = (checkpoint: Checkpoint): Uint8Array<ArrayBuffer> => {
  const { parameters, frozen, statistics, steps, head, ...others } = checkpoint;
  const { rows, width } = head;
  const trainable = new Map<string, Parameter>([
    ...parameters,
    [HEAD_KERNEL, { shape: [rows.length, width], ...head.kernel }],
    [HEAD_BIAS, { shape: [rows.length], ...head.bias }],
  ]);
  const part = (prefix: string, values: (parameter: Parameter) => Float32Array) =>
    [...trainable].map(([name, p]) => [prefix + name, { shape: p.shape, values: values(p) }] as const);
  const tensors = new Map<string, Weights>([
    ...part(kinds.parameter, (p) => p.value),
    ...[...frozen].map(([name, weights]) => [kinds.frozen + name, weights] as const),
    ...[...statistics].map(([name, weights]) => [kinds.statistic + name, weights] as const),
    ...part(kinds.first, (p) => p.first),
    ...part(kinds.second, (p) => p.second),
    [STEPS, { shape: [1], values: Int32Array.of(steps) }],
    [HEAD_STEPS, { shape: [rows.length], values: head.steps }],
  ]);
  const description = { v: VERSION, ...others, rows };
  return writeSafetensors({ tensors, metadata: { [METADATA_KEY]: JSON.stringify(description) } });
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Throws `ModelError/Malformed` for bytes that are no complete checkpoint. `file` is named in the message. */
export const decodeCheckpoint = (bytes: Uint8Array, file: string): Checkpoint => {
  const malformed = (detail: string) =>
    new ModelError({
      reason: { _tag: "Malformed", file },
      message: `${file} is not a checkpoint of Subtaxa: ${detail}`,
    });
  const { tensors, metadata } = readSafetensors(bytes, file);
  const parsed = Description.safeParse(parseJson(metadata[METADATA_KEY] ?? ""));
  if (!parsed.success) throw malformed(`its metadata are wrong: ${z.prettifyError(parsed.error)}`);
  const { v: _, rows, ...description } = parsed.data;

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
  const names = (prefix: string) =>
    [...tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const parameter = (name: string): Parameter => {
    const { shape, values: value } = floats(kinds.parameter + name);
    return {
      shape,
      value,
      first: floats(kinds.first + name, shape).values,
      second: floats(kinds.second + name, shape).values,
    };
  };

  const { shape: kernelShape, ...kernel } = parameter(HEAD_KERNEL);
  const { shape: biasShape, ...bias } = parameter(HEAD_BIAS);
  const [rowCount, width] = kernelShape;
  const fits = rowCount === rows.length && kernelShape.length === 2 &&
    biasShape.join() === String(rows.length);
  if (!fits || rows.some((row) => row.class >= description.classes.length)) {
    throw malformed(`its head of shape [${kernelShape}] does not fit its ${rows.length} rows`);
  }
  const inHead = new Set([HEAD_KERNEL, HEAD_BIAS]);
  return {
    ...description,
    parameters: new Map(
      names(kinds.parameter).filter((name) => !inHead.has(name)).map((name) => [name, parameter(name)]),
    ),
    steps: integers(STEPS, 1)[0]!,
    frozen: new Map(names(kinds.frozen).map((name) => [name, floats(kinds.frozen + name)])),
    statistics: new Map(names(kinds.statistic).map((name) => [name, floats(kinds.statistic + name)])),
    head: { rows, width: width!, kernel, bias, steps: integers(HEAD_STEPS, rows.length) },
  };
};

/** Throws `ModelError/Incompatible` unless the checkpoint is of a run with this network, image size and these classes. */
export const requireSameRun = (checkpoint: Checkpoint, spec: RunSpec, file: string): void => {
  const differs = (["backbone", "imageSize", "classes", "freeze"] as const).find((key) =>
    JSON.stringify(checkpoint[key]) !== JSON.stringify(spec[key])
  );
  if (differs === undefined) return;
  throw new ModelError({
    reason: { _tag: "Incompatible", file },
    message: `checkpoint ${file} is of another run: its ${differs} is ${checkpoint[differs]}, ` +
      `the run's ${spec[differs]}`,
  });
};

/** Reads and checks the checkpoint of a run. Throws `ModelError`. */
export const readCheckpoint = (file: string, spec: RunSpec): Checkpoint => {
  const checkpoint = decodeCheckpoint(Deno.readFileSync(file), file);
  requireSameRun(checkpoint, spec, file);
  return checkpoint;
};
