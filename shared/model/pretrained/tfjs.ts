import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { ModelError } from "../error.ts";
import { type KerasTensor, kerasTensor } from "./keras.ts";

const Entry = z.object({
  name: z.string(),
  shape: z.array(z.number().int().min(0)),
  dtype: z.string(),
  quantization: z.object({
    dtype: z.enum(["uint8", "uint16", "float16"]),
    scale: z.number().optional(),
    min: z.number().optional(),
  }).optional(),
});
type Entry = z.infer<typeof Entry>;

/** The parts of TensorFlow.js' model.json that say where the weights are. */
const Model = z.object({
  format: z.string().optional(),
  weightsManifest: z.array(z.object({ paths: z.array(z.string()).min(1), weights: z.array(Entry) })).min(1),
});

const widths: Readonly<Record<string, number>> = {
  ...{ float32: 4, float16: 2, int32: 4, bool: 1, uint8: 1, uint16: 2 },
};

/** Numbers at rest; quantised ones stand for themselves times `scale` plus `min`. */
const decode = (buffer: ArrayBuffer, { quantization }: Entry): Float32Array => {
  if (!quantization) return new Float32Array(buffer);
  const { dtype, scale = 1, min = 0 } = quantization;
  if (dtype === "float16") return new Float32Array(new Float16Array(buffer));
  return Float32Array.from(
    dtype === "uint8" ? new Uint8Array(buffer) : new Uint16Array(buffer),
    (value) => value * scale + min,
  );
};

const isBelow = (folder: string, path: string) => !/^(\.\.)?(\/|$)/.test(relative(folder, path));

export interface TfjsWeights {
  readonly tensors: readonly KerasTensor[];
  /** Of a graph model, which rarely holds a network's layers. */
  readonly hint?: string;
}

const GRAPH_MODEL =
  "it is a graph model, in which batch normalisation has been folded into the convolutions: " +
  "convert it as a layers model";

/**
 * The floats of a model in TensorFlow.js' format, of which `text` is the `model.json` at `file`; its shards lie beside it,
 * and not by a symbolic link that leads elsewhere.
 * Throws `ModelError/Malformed`, and `Unreadable` for a shard.
 */
export const readTfjs = async (text: string, file: string): Promise<TfjsWeights> => {
  const malformed = (detail: string) =>
    new ModelError({
      reason: { _tag: "Malformed", file },
      message: `${file} is not a readable model.json of TensorFlow.js: ${detail}`,
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw malformed(`it is no JSON (${cause instanceof Error ? cause.message : cause})`);
  }
  const model = Model.safeParse(json);
  if (!model.success) throw malformed(z.prettifyError(model.error));

  const folder = dirname(file);
  const shard = async (path: string): Promise<Uint8Array> => {
    const named = join(folder, path);
    const outside = () => malformed(`'${path}' lies outside its folder`);
    if (!isBelow(folder, named)) throw outside();
    const unreadable = (cause: unknown) =>
      new ModelError({
        reason: { _tag: "Unreadable", file: named },
        message: `${named}, which ${file} names, can't be read: ` +
          (cause instanceof Error ? cause.message : cause),
      });
    // what a symbolic link leads to may be none of the user's business
    const [root, real] = await Promise.all([folder, named].map((path) => Deno.realPath(path)))
      .catch((cause) => {
        throw unreadable(cause);
      });
    if (!isBelow(root!, real!)) throw outside();
    return await Deno.readFile(real!).catch((cause) => {
      throw unreadable(cause);
    });
  };

  const tensors: KerasTensor[] = [];
  for (const { paths, weights } of model.data.weightsManifest) {
    const bytes = await new Blob(await Promise.all(paths.map(shard)) as BlobPart[]).arrayBuffer();
    let at = 0;
    for (const entry of weights) {
      const { name, shape, dtype, quantization } = entry;
      const width = widths[quantization?.dtype ?? dtype];
      if (width === undefined) throw malformed(`tensor '${name}' is of type ${dtype}`);
      const end = at + width * shape.reduce((product, side) => product * side, 1);
      if (end > bytes.byteLength) {
        throw malformed(
          `tensor '${name}' ends at byte ${end} of ${paths.join(", ")}, of ${bytes.byteLength}`,
        );
      }
      if (dtype === "float32") {
        tensors.push(kerasTensor(name, { shape, values: decode(bytes.slice(at, end), entry) }));
      }
      at = end;
    }
    if (at !== bytes.byteLength) {
      throw malformed(`${bytes.byteLength - at} bytes of ${paths.join(", ")} are unused`);
    }
  }
  return { tensors, ...(model.data.format === "graph-model" ? { hint: GRAPH_MODEL } : {}) };
};
