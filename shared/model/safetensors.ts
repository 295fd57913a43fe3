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
/** The format's own limit, against headers that exhaust the memory. */
const MAX_HEADER_BYTES = 100_000_000;

const Entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().min(0)),
  data_offsets: z.tuple([z.number().int().min(0), z.number().int().min(0)]),
});
const Header = z.object({ __metadata__: z.record(z.string(), z.string()).optional() }).catchall(Entry);

const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** bfloat16 is the upper half of a float32. */
const widened = (halves: Uint16Array): Float32Array =>
  new Float32Array(Uint32Array.from(halves, (half) => half * 0x10000).buffer);

/** Types of a number as they are read: bytes of one, and the values of a tensor. Other floats become float32. */
const types: Readonly<
  Record<string, { bytes: number; values: (buffer: ArrayBuffer) => Float32Array | Int32Array }>
> = {
  F32: { bytes: 4, values: (buffer) => new Float32Array(buffer) },
  F16: { bytes: 2, values: (buffer) => new Float32Array(new Float16Array(buffer)) },
  BF16: { bytes: 2, values: (buffer) => widened(new Uint16Array(buffer)) },
  F64: { bytes: 8, values: (buffer) => new Float32Array(new Float64Array(buffer)) },
  I32: { bytes: 4, values: (buffer) => new Int32Array(buffer) },
};

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
 * Reads tensors of floats (`F16`, `BF16`, `F64` become float32) and of 32-bit integers as copies. Those that `skip` names
 * are checked and left out; they may be of any type.
 * Throws `ModelError/Malformed` naming `file` and the offending tensor.
 */
export const readSafetensors = (
  bytes: Uint8Array,
  file: string,
  skip: (name: string) => boolean = () => false,
): Safetensors => {
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
    const type = types[dtype];
    const skipped = skip(name);
    if (!type && !skipped) throw malformed(`tensor '${name}' is of type ${dtype}`);
    const [begin, end] = [start + from, start + to];
    const misfit = type !== undefined && end - begin !== size(shape) * type.bytes;
    if (begin !== covered || end < begin || end > bytes.length || misfit) {
      throw malformed(`tensor '${name}' of shape [${shape}] does not fit its bytes ${from} to ${to}`);
    }
    covered = end;
    if (type && !skipped) tensors.set(name, { shape, values: type.values(bytes.slice(begin, end).buffer) });
  }
  if (covered !== bytes.length) throw malformed(`${bytes.length - covered} bytes belong to no tensor`);
  return { tensors, metadata };
};
