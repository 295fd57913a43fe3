import type { Manifest } from "@subtaxa/contracts";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { compress } from "./compression.ts";
import { recordBytes, recordHeaderBytes, writeRecord } from "./shard.ts";

/** A square image of a dataset that no import has made. */
export interface MadeImage {
  readonly path: string;
  /** Index into the dataset's classes. */
  readonly class: number;
  readonly side: number;
  /** Default: grey. */
  readonly channels?: 1 | 3;
  /** Default: black. */
  readonly data?: Uint8Array;
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Images as an import stores them, `perShard` in each shard and two in each of its frames; and their manifest. */
export const datasetAtRest = (
  { name, classes, images, perShard = Infinity }: {
    readonly name: string;
    readonly classes: readonly string[];
    readonly images: readonly MadeImage[];
    readonly perShard?: number;
  },
): { readonly manifest: Manifest; readonly shards: readonly Uint8Array[] } => {
  const records: Uint8Array[][] = [];
  let offset = 0;
  const listed = images.map((image, i): Manifest["images"][number] => {
    const { path, class: index, side, channels = 1, data = new Uint8Array(side * side * channels) } = image;
    if (i === 0 || i % perShard === 0) {
      records.push([]);
      offset = 0;
    }
    const record = new Uint8Array(recordBytes({ side, channels }));
    const header = writeRecord({ width: side, height: side, channels, data }, record);
    records.at(-1)!.push(record);
    const pixelsAt = offset + recordHeaderBytes;
    offset += record.length;
    return {
      ...header,
      path,
      class: index,
      width: side,
      height: side,
      shard: records.length - 1,
      offset: pixelsAt,
      fileHash: hashOf(new TextEncoder().encode(path)),
      pixelHash: hashOf(data),
    };
  });
  const shards = records.map((all) => {
    const frames: Uint8Array[] = [];
    for (let i = 0; i < all.length; i += 2) frames.push(compress(Buffer.concat(all.slice(i, i + 2))));
    return new Uint8Array(Buffer.concat(frames));
  });
  const manifest: Manifest = {
    v: 2,
    name,
    classes: [...classes],
    images: listed,
    shards: shards.map((bytes) => {
      const sha256 = hashOf(bytes);
      return { key: `sha256-${sha256}`, sha256, bytes: bytes.length };
    }),
    pixelSize: null,
    rejected: [],
    warnings: [],
    labelConflicts: [],
    depth: null,
  };
  return { manifest, shards };
};

/** For tests: image files written byte by byte, after their specifications, so that no library checks itself. */

/** Runs a test with a folder of its own. */
export const withFolder = (test: (folder: string) => Promise<void>) => async (): Promise<void> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-dataset-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** A baseline TIFF 6.0 file, little-endian, one uncompressed strip; `samples` row by row, channels interleaved. */
export const tiff = (
  width: number,
  height: number,
  samples: Uint8Array | Uint16Array | Float32Array,
): Uint8Array => {
  const channels = samples.length / (width * height);
  const bits = 8 * samples.BYTES_PER_ELEMENT;
  const data = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  const entries: [tag: number, type: 3 | 4, values: number[]][] = [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, new Array(channels).fill(bits)],
    [259, 3, [1]],
    [262, 3, [channels >= 3 ? 2 : 1]],
    [273, 4, [0]],
    [277, 3, [channels]],
    [278, 4, [height]],
    [279, 4, [data.length]],
    [339, 3, new Array(channels).fill(samples instanceof Float32Array ? 3 : 1)],
  ];
  const directory = 8;
  const beyond = directory + 2 + 12 * entries.length + 4;
  const strip = beyond + 2 * 8;
  const file = Buffer.alloc(strip + data.length);
  file.write("II*\0", "latin1");
  file.writeUInt32LE(directory, 4);
  file.writeUInt16LE(entries.length, directory);
  let free = beyond;
  entries.forEach(([tag, type, values], i) => {
    const at = directory + 2 + 12 * i;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(type, at + 2);
    file.writeUInt32LE(values.length, at + 4);
    if (tag === 273) file.writeUInt32LE(strip, at + 8);
    else if (type === 4) file.writeUInt32LE(values[0]!, at + 8);
    else if (values.length <= 2) values.forEach((value, k) => file.writeUInt16LE(value, at + 8 + 2 * k));
    else {
      file.writeUInt32LE(free, at + 8);
      values.forEach((value, k) => file.writeUInt16LE(value, free + 2 * k));
      free += 2 * values.length;
    }
  });
  file.set(data, strip);
  return file;
};

/** A 24-bit uncompressed BMP file (BITMAPINFOHEADER) of RGB samples: rows from the bottom, each padded to 4 bytes. */
export const bmp = (width: number, height: number, rgb: Uint8Array): Uint8Array => {
  const stride = Math.ceil(3 * width / 4) * 4;
  const file = Buffer.alloc(54 + stride * height);
  file.write("BM", "latin1");
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [red, green, blue] = rgb.subarray(3 * (y * width + x));
      file.set([blue!, green!, red!], 54 + (height - 1 - y) * stride + 3 * x);
    }
  }
  return file;
};
