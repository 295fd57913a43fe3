import { z } from "zod";
import { ModelError } from "./error.ts";

/**
 * The safetensors format (https://github.com/huggingface/safetensors, "Format"): 8 bytes of header length,
 * little-endian; a JSON header `{name: {dtype, shape, data_offsets}, __metadata__?}`; the tensors' bytes, little-endian,
 * row-major, without holes. Every platform that Deno runs on is little-endian, so that typed arrays are the bytes.
 */

/** A tensor at rest: row-major values, their number the product of `shape`. */
export interface Weights<T extends Float32Array | Int32Array = Float32Array | Int32Array> {
  readonly shape: readonly number[];
  readonly values: T;
}

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Weights>;
  readonly metadata: Readonly<Record<string, string>>;
}

const LENGTH_BYTES = 8;
const ITEM_BYTES = 4;
/** The format's own limit, against headers that exhaust the memory. */
const MAX_HEADER_BYTES = 100_000_000;

const Entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().min(0)),
  data_offsets: z.tuple([z.number().int().min(0), z.number().int().min(0)]),
});
const Header = z.object({ __metadata__: z.record(z.string(), z.string()).optional() }).catchall(Entry);

const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** Bytes of a safetensors file. Tensors keep the map's order. */
export const writeSafetensors = ({ tensors, metadata }: Safetensors): Uint8Array<ArrayBuffer> => {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape, values }] of tensors) {
    const begin = end;
    end += values.byteLength;
    header[name] = {
      dtype: values instanceof Float32Array ? "F32" : "I32",
      shape,
      data_offsets: [begin, end],
    };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(json.length / LENGTH_BYTES) * LENGTH_BYTES;
  const bytes = new Uint8Array(LENGTH_BYTES + padded + end).fill(0x20, LENGTH_BYTES, LENGTH_BYTES + padded);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(json, LENGTH_BYTES);
  let at = LENGTH_BYTES + padded;
  for (const { values } of tensors.values()) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
};

/**
 * Reads float32 and int32 tensors (`F32`, `I32`: all that checkpoints hold) as copies.
 * Throws `ModelError/Malformed` naming `file` and the offending tensor.
 */
export const readSafetensors = (bytes: Uint8Array, file: string): Safetensors => {
  const malformed = (detail: string) =>
    new ModelError({
      reason: { _tag: "Malformed", file },
      message: `${file} is not a readable safetensors file: ${detail}`,
    });
  if (bytes.length < LENGTH_BYTES) throw malformed(`it has ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  const start = LENGTH_BYTES + headerBytes;
  if (headerBytes > MAX_HEADER_BYTES || start > bytes.length) {
    throw malformed(`its header claims ${headerBytes} bytes, the file has ${bytes.length}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(LENGTH_BYTES, start)));
  } catch (cause) {
    throw malformed(`its header is no JSON (${cause})`);
  }
  const header = Header.safeParse(json);
  if (!header.success) throw malformed(`its header is wrong: ${z.prettifyError(header.error)}`);
  const { __metadata__: metadata = {}, ...entries } = header.data;
  const tensors = new Map<string, Weights>();
  let covered = start;
  const byOffset = Object.entries(entries).sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of byOffset) {
    if (dtype !== "F32" && dtype !== "I32") throw malformed(`tensor '${name}' is of type ${dtype}`);
    const [begin, end] = [start + from, start + to];
    if (begin !== covered || end > bytes.length || end - begin !== size(shape) * ITEM_BYTES) {
      throw malformed(`tensor '${name}' of shape [${shape}] does not fit its bytes ${from} to ${to}`);
    }
    covered = end;
    const copy = bytes.slice(begin, end).buffer;
    tensors.set(name, { shape, values: dtype === "F32" ? new Float32Array(copy) : new Int32Array(copy) });
  }
  if (covered !== bytes.length) throw malformed(`${bytes.length - covered} bytes belong to no tensor`);
  return { tensors, metadata };
};
