import type { ManifestImage } from "@subtaxa/contracts";
import { crc32 } from "node:zlib";
import type { Image } from "./resample.ts";

/**
 * A shard is a sequence of records, one for each image that was read, compressed in frames (`compression.ts`). A record says by
 * itself what it holds: 16 bytes of header, little-endian, then the pixels.
 *
 * | bytes | what |
 * | 0–3   | "SXI2" |
 * | 4–7   | side of the square in pixels |
 * | 8–11  | channels: 1 = grey, 3 = RGB, interleaved |
 * | 12–15 | CRC-32 of the pixels |
 */
export const recordHeaderBytes = 16;
const magic = 0x32495853;

/** What a record's header says. */
export type RecordHeader = Pick<ManifestImage, "side" | "channels" | "crc32">;

/** Bytes of a record. */
export const recordBytes = ({ side, channels }: Pick<RecordHeader, "side" | "channels">): number =>
  recordHeaderBytes + side * side * channels;

/**
 * Writes a square image as a record at the start of `target`, which has `recordBytes` of space.
 * @throws RangeError when the pixels are not as many as the image says
 */
export const writeRecord = ({ width, height, channels, data }: Image, target: Uint8Array): RecordHeader => {
  if (width !== height || data.length !== width * height * channels) {
    throw new RangeError(
      `${data.length} bytes are no square of ${width} × ${height} pixels with ${channels} channels`,
    );
  }
  const header = { side: width, channels, crc32: crc32(data) };
  const view = new DataView(target.buffer, target.byteOffset, recordHeaderBytes);
  [magic, header.side, header.channels, header.crc32].forEach((value, i) =>
    view.setUint32(4 * i, value, true)
  );
  target.set(data, recordHeaderBytes);
  return header;
};

/**
 * Reads a decompressed shard from its first byte to its last; the headers of its records by where their pixels begin.
 * @throws RangeError when it is no sequence of records, or the pixels of one do not have their checksum
 */
export const readRecords = (raw: Uint8Array): ReadonlyMap<number, RecordHeader> => {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const records = new Map<number, RecordHeader>();
  for (let at = 0; at < raw.length;) {
    if (at + recordHeaderBytes > raw.length || view.getUint32(at, true) !== magic) {
      throw new RangeError(`no image begins at byte ${at}`);
    }
    const [side, channels, checksum] = [4, 8, 12].map((offset) => view.getUint32(at + offset, true)) as [
      number,
      number,
      number,
    ];
    if (side === 0 || (channels !== 1 && channels !== 3)) {
      throw new RangeError(`the image at byte ${at} has ${side} pixels a side and ${channels} channels`);
    }
    const from = at + recordHeaderBytes;
    const end = at + recordBytes({ side, channels });
    if (end > raw.length) throw new RangeError(`the image at byte ${at} breaks off`);
    if (crc32(raw.subarray(from, end)) !== checksum) {
      throw new RangeError(`the pixels of the image at byte ${at} do not have their checksum`);
    }
    records.set(from, { side, channels, crc32: checksum });
    at = end;
  }
  return records;
};
