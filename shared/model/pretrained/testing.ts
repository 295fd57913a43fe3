/** Files of weights as the libraries write them, filled as in scripts/fixtures/pretrained.py. */
import type { Images } from "@subtaxa/dataset";
import { File as H5File, type Group, ready } from "h5wasm";
import { expect } from "expect";
import { dirname, join } from "node:path";
import { ModelError } from "../error.ts";

/** Pseudo-random 32-bit numbers that depend on the name (FNV-1a) and the position. */
export const wordsOf = (name: string) => {
  let seed = 2166136261;
  for (const letter of new TextEncoder().encode(name)) seed = Math.imul(seed ^ letter, 16777619);
  return (i: number): number => {
    let h = Math.imul(i, 2654435761) ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
};

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, side) => product * side, 1);

/** Gives a tensor its values. `fanIn`: numbers that one output of a kernel sums, 0 for other tensors. */
export type Fill = (name: string, shape: readonly number[], fanIn: number) => Float32Array;

const scaling = (name: string, fanIn: number): (u: number) => number => {
  const part = name.split(/[./]/).at(-1)!;
  if (fanIn > 0) return (u) => Math.sqrt(6 / fanIn) * u;
  if (part.includes("var")) return (u) => 0.6 + 0.4 * u;
  return /gamma|weight/.test(part) ? (u) => 0.7 + 0.2 * u : (u) => 0.3 * u;
};

/** Weights with which features stay finite. */
export const formula: Fill = (name, shape, fanIn) => {
  const [scaled, word] = [scaling(name, fanIn), wordsOf(name)];
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = scaled(word(i) / 2 ** 31 - 1);
  return values;
};

/** Zeros, and at the beginning a number that says whose they are. */
export const marks: Fill = (name, shape) => {
  const values = new Float32Array(sizeOf(shape));
  values[0] = wordsOf(name)(0) / 2 ** 31;
  return values;
};

/** Checks of another width on each image, under noise. */
export const formulaImages = (count: number, side: number): Images => {
  const noise = wordsOf("pixels");
  const pixels = Uint8Array.from({ length: count * side * side * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % side, Math.floor(i / (3 * side)) % side];
    const image = Math.floor(i / (3 * side * side));
    return 127 * (((x >> (image + 1)) + (y >> 3) + c) & 1) + (noise(i) >>> 25);
  });
  return { pixels, side, channels: 3, count };
};

/** Type, then shape. */
export type TypedShape = readonly (string | number)[];
export const shapeIn = (typed: TypedShape): number[] => typed.slice(1).map(Number);

/** How numbers of a type lie in a file. */
export const packers: Readonly<Record<string, (values: Float32Array) => Uint8Array>> = {
  F32: (values) => new Uint8Array(values.buffer),
  F16: (values) => new Uint8Array(new Float16Array(values).buffer),
  BF16: (values) =>
    new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16).buffer),
  F64: (values) => new Uint8Array(new Float64Array(values).buffer),
  I64: (values) => new Uint8Array(BigInt64Array.from(values, (value) => BigInt(Math.round(value))).buffer),
};

/** A safetensors file of PyTorch; `type` is that of the floats. */
export const writeTorch = async (
  path: string,
  layout: Readonly<Record<string, TypedShape>>,
  fill: Fill = formula,
  type = "F32",
): Promise<void> => {
  let end = 0;
  const data: Uint8Array<ArrayBuffer>[] = [];
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const [name, typed] of Object.entries(layout)) {
    const [shape, dtype] = [shapeIn(typed), typed[0] === "F32" ? type : String(typed[0])];
    const bytes = packers[dtype]!(fill(name, shape, shape.length > 1 ? sizeOf(shape.slice(1)) : 0));
    data.push(bytes as Uint8Array<ArrayBuffer>);
    header[name] = { dtype, shape, data_offsets: [end, end += bytes.length] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(new BigUint64Array([BigInt(json.length)]).buffer);
  await Deno.writeFile(path, new Blob([length, json, ...data]).stream());
};

const kerasFanIn = (name: string, shape: readonly number[]) => {
  if (shape.length !== 4) return 0;
  return sizeOf(name.includes("dwconv/") ? shape.slice(0, 2) : shape.slice(0, 3));
};

/** ImageNet's mean, and its standard deviation where the variance belongs, as Keras publishes EfficientNet. */
const normalisation: Readonly<Record<string, number[]>> = {
  "normalization/mean": [0.485, 0.456, 0.406],
  "normalization/variance": [0.229, 0.224, 0.225],
};

const kerasValues = (name: string, shape: readonly number[], fill: Fill): Float32Array =>
  name in normalisation
    ? Float32Array.from(normalisation[name]!)
    : fill(name, shape, kerasFanIn(name, shape));

const putDataset = (root: Group, path: string, shape: number[], data: Float32Array | BigInt64Array) => {
  const folders = path.split("/");
  const name = folders.pop()!;
  const group = folders.reduce((parent, folder) => {
    const there = parent.keys().includes(folder) ? parent.get(folder) as Group : undefined;
    return there ?? parent.create_group(folder);
  }, root);
  group.create_dataset({ name, data, shape });
};

export type LegacyLayout = Readonly<Record<string, Readonly<Record<string, number[]>>>>;

/** Keras 2's file of weights; `within`: the group that a whole model keeps them in; `rename`: the name of a variable. */
export const writeKerasLegacy = async (
  path: string,
  layout: LegacyLayout,
  { fill = formula, within, rename = (name) => name }: {
    fill?: Fill;
    within?: string;
    rename?: (name: string) => string;
  } = {},
): Promise<void> => {
  await ready;
  const file = new H5File(path, "w");
  const root = within ? file.create_group(within) : file;
  root.create_attribute("layer_names", ["input_1", ...Object.keys(layout)]);
  root.create_group("input_1");
  for (const [layer, variables] of Object.entries(layout)) {
    const group = root.create_group(layer);
    group.create_attribute("weight_names", Object.keys(variables).map(rename));
    for (const [name, shape] of Object.entries(variables)) {
      const isCounter = shape.length === 0;
      const values = isCounter ? new BigInt64Array(1) : kerasValues(name, shape, fill);
      putDataset(group, rename(name), shape, values);
    }
  }
  file.close();
};

export type ModernLayout = Readonly<
  Record<string, { readonly name: string; readonly variables: readonly TypedShape[] }>
>;

/** Keras 3's file of weights; `named` false: as by its earlier versions. */
export const writeKerasModern = async (
  path: string,
  layout: ModernLayout,
  legacy: LegacyLayout,
  { fill = formula, named = true }: { fill?: Fill; named?: boolean } = {},
): Promise<void> => {
  await ready;
  const file = new H5File(path, "w");
  file.create_group("vars");
  for (const [group, { name, variables }] of Object.entries(layout)) {
    const names = Object.keys(legacy[name]!);
    variables.forEach((typed, index) => {
      const shape = shapeIn(typed);
      const values = typed[0] === "int64" ? new BigInt64Array(1) : kerasValues(names[index]!, shape, fill);
      putDataset(file, `${group}/${index}`, shape, values);
    });
    if (named) (file.get(group) as Group).create_attribute("name", name);
  }
  file.close();
};

/** TensorFlow.js' model.json with two shards. */
export const writeTfjs = async (
  path: string,
  layout: Readonly<Record<string, TypedShape>>,
  { fill = formula, format = "layers-model" }: { fill?: Fill; format?: string } = {},
): Promise<void> => {
  const entries = Object.entries(layout).map(([name, typed]) => ({ name, shape: shapeIn(typed) }));
  const values = entries.map(({ name, shape }) =>
    kerasValues(name, shape, fill) as Float32Array<ArrayBuffer>
  );
  const bytes = new Uint8Array(await new Blob(values).arrayBuffer());
  const cut = bytes.length / 2 + 1;
  const paths = ["group1-shard1of2.bin", "group1-shard2of2.bin"];
  await Deno.writeFile(join(dirname(path), paths[0]!), bytes.subarray(0, cut));
  await Deno.writeFile(join(dirname(path), paths[1]!), bytes.subarray(cut));
  const weights = entries.map((entry) => ({ ...entry, dtype: "float32" }));
  await Deno.writeTextFile(path, JSON.stringify({ format, weightsManifest: [{ paths, weights }] }));
};

/** With a folder that goes afterwards. */
export const inFolder = async (use: (folder: string) => Promise<void>) => {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** The error that reading must end in. */
export const failure = async (reading: Promise<unknown>): Promise<ModelError> => {
  const error = await reading.then(() => undefined, (cause) => cause);
  expect(error).toBeInstanceOf(ModelError);
  return error;
};
