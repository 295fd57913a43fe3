import type { Backbone } from "@subtaxa/contracts";
import { dirname, join } from "node:path";
import { ModelError } from "../error.ts";
import { readSafetensors } from "../safetensors.ts";
import { fromKeras } from "./keras.ts";
import { readKerasH5 } from "./keras_h5.ts";
import { decodePretrained, isPretrained, type Pretrained } from "./pretrained.ts";
import { readTfjs } from "./tfjs.ts";
import { fromTorch } from "./torch.ts";

const HDF5 = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const ZIP = [0x50, 0x4b, 0x03, 0x04];
const PICKLE = [0x80, 0x02];

const startsWith = (bytes: Uint8Array, start: readonly number[]) =>
  start.every((byte, i) => bytes[i] === byte);

const unreadable = (file: string, detail: string) =>
  new ModelError({ reason: { _tag: "Unreadable", file }, message: `${file} ${detail}` });

const KINDS =
  "the weights must be Keras' .h5 or .weights.h5, safetensors in the names of torchvision or timm, " +
  "or TensorFlow.js' model.json";

/** The JSON beside the weights, if there is any. */
const configBeside = async (path: string): Promise<unknown> => {
  try {
    return JSON.parse(await Deno.readTextFile(join(dirname(path), "config.json")));
  } catch {
    return undefined; // It only refines what the weights say.
  }
};

/** The first bytes of a file, by which its kind is told. */
const beginning = async (path: string): Promise<Uint8Array> => {
  const start = new Uint8Array(9);
  try {
    using file = await Deno.open(path);
    const read = await file.read(start);
    return start.subarray(0, read ?? 0);
  } catch (cause) {
    throw unreadable(path, `can't be read: ${cause instanceof Error ? cause.message : cause}`);
  }
};

/**
 * Weights for `backbone` from a file of Keras, PyTorch or TensorFlow.js, whose kind its content tells. A classifier in it
 * is left out. Throws `ModelError`: `Unreadable`, `Malformed`, `Mismatch` (naming the layer).
 */
export const readPretrained = async (path: string, backbone: Backbone): Promise<Pretrained> => {
  const start = await beginning(path);
  if (startsWith(start, HDF5)) return fromKeras(await readKerasH5(path, backbone), path, backbone);
  if (startsWith(start, ZIP) || startsWith(start, PICKLE)) {
    throw unreadable(
      path,
      `is a zip archive or a pickle, as PyTorch's .pth and Keras' .keras are; ${KINDS}: save it as one of them`,
    );
  }
  if (path.endsWith(".json")) {
    const { tensors, hint } = await readTfjs(await Deno.readTextFile(path), path);
    return fromKeras(tensors, path, backbone, hint);
  }
  // A safetensors header is a JSON object; its length comes first.
  if (start[8] !== 0x7b) throw unreadable(path, `is of an unknown kind: ${KINDS}`);
  const bytes = await Deno.readFile(path);
  if (!isPretrained(readSafetensors(bytes, path, () => true).metadata)) {
    return fromTorch(bytes, path, backbone, await configBeside(path));
  }
  const pretrained = decodePretrained(bytes, path);
  if (pretrained.backbone === backbone) return pretrained;
  throw new ModelError({
    reason: { _tag: "Mismatch", file: path, layer: "stem" },
    message: `${path} holds weights of ${pretrained.backbone}, not of ${backbone}`,
  });
};
