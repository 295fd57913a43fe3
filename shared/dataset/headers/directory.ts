import { maxDirectoryEntries } from "../unusable.ts";

/** A TIFF directory: its whole numbers by tag, and where the next directory lies; 0 if it is the last. */
export interface Directory {
  readonly tags: ReadonlyMap<number, readonly number[]>;
  readonly next: number;
  /** The same bytes with another first value of a tag that is there. */
  readonly withTag: (tag: number, value: number) => Uint8Array;
  /** The bytes of a tag's values; empty where it isn't there. */
  readonly bytesOf: (tag: number) => Uint8Array;
}

/** Bytes of a value of each type of whole number: BYTE, SHORT, LONG, LONG8, SBYTE, SSHORT, SLONG; negative ones mean nothing here. */
const sizes = new Map([[1, 1], [3, 2], [4, 4], [16, 8], [6, 1], [8, 2], [9, 4]]);
/** UNDEFINED: bytes, but no numbers. */
const undefinedType = 7;
/** More values than any tag has that is read here; strip offsets have more. */
const mostValues = 64;

/**
 * Reads the first directory of a TIFF structure, or the one at `place`, little- or big-endian, TIFF 6.0 (section 2) or BigTIFF: of a TIFF file, or of
 * Exif data, which have the same form. Tags of other types than whole numbers are passed over.
 *
 * @throws RangeError when it points beyond its end or is no such structure
 */
export const readDirectory = (
  bytes: Uint8Array,
  { place, isDamageIgnored = false }: { readonly place?: number; readonly isDamageIgnored?: boolean } = {},
): Directory => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) throw new RangeError("no byte order where it must be");
  const little = order === 0x4949;
  const short = (at: number) => view.getUint16(at, little);
  const long = (at: number) => view.getUint32(at, little);
  const long8 = (at: number) => Number(view.getBigUint64(at, little));
  const version = short(2);
  if (version !== 42 && version !== 43) {
    throw new RangeError(`version ${version} is neither TIFF nor BigTIFF`);
  }
  const big = version === 43;
  const [first, count, entrySize, word] = big
    ? [long8(8), long8, 20, long8] as const
    : [long(4), short, 12, long] as const;
  const start = place ?? first;
  const wordSize = big ? 8 : 4;
  const entries = count(start);
  if (entries > maxDirectoryEntries) throw new RangeError(`a directory of ${entries} entries`);
  const found = new Map<number, readonly number[]>();
  const places = new Map<number, { readonly at: number; readonly size: number; readonly values: number }>();
  const end = start + (big ? 8 : 2) + entries * entrySize;
  for (let i = 0; i < entries; i++) {
    const at = start + (big ? 8 : 2) + i * entrySize;
    // What breaks off says nothing about what came before it.
    if (isDamageIgnored && at + entrySize > bytes.length) break;
    const [tag, type, values] = [short(at), short(at + 2), word(at + 4)];
    const size = type === undefinedType ? 1 : sizes.get(type);
    if (size === undefined || places.has(tag)) continue;
    const inside = at + 4 + wordSize;
    const from = size * values <= wordSize ? inside : word(inside);
    if (isDamageIgnored && from + size * values > bytes.length) continue;
    places.set(tag, { at: from, size, values });
    if (values > mostValues || type === undefinedType) continue;
    const read = { 1: (at: number) => view.getUint8(at), 2: short, 4: long, 8: long8 }[size]!;
    found.set(tag, Array.from({ length: values }, (_, k) => read(from + k * size)));
  }
  const bytesOf = (tag: number): Uint8Array => {
    const { at, size, values } = places.get(tag) ?? { at: 0, size: 0, values: 0 };
    return bytes.subarray(at, at + size * values);
  };
  const withTag = (tag: number, value: number): Uint8Array => {
    const changed = bytes.slice();
    const { at, size } = places.get(tag)!;
    for (let i = 0; i < size; i++) {
      changed[little ? at + i : at + size - 1 - i] = Math.floor(value / 256 ** i) % 256;
    }
    return changed;
  };
  return { tags: found, next: end + wordSize <= bytes.length ? word(end) : 0, withTag, bytesOf };
};
