import type { Random } from "@subtaxa/random";
import { copyChannel, memory } from "./batch.wasm";

/** Square images of one size, uint8 [count, side, side, channels]. */
export interface Images {
  readonly pixels: Uint8Array;
  readonly side: number;
  /** 1 when all images are grey. */
  readonly channels: 1 | 3;
  readonly count: number;
}

export type Augmentation =
  | { readonly augment: "none"; readonly random?: Random }
  /** Every image in one of the 8 symmetries of the square, each equally likely. */
  | { readonly augment: "flip-rotate"; readonly random: Random };

/** What the 256 levels of each channel of a batch become, and the channel of the images that they are taken from. */
export type Levels = readonly { readonly channel: number; readonly values: Float32Array }[];

const unit = Float32Array.from({ length: 256 }, (_, level) => level / 255);

/** 0 … 1 in the images' own channels. */
const asTheyAre = (channels: number): Levels =>
  Array.from({ length: channels }, (_, channel) => ({ channel, values: unit }));

/** The chosen images as float32 [indices.length, side, side, levels.length]; without `levels` scaled to 0 … 1. */
export const batch = (
  images: Images,
  indices: ArrayLike<number>,
  options: Augmentation = { augment: "none" },
  levels: Levels = asTheyAre(images.channels),
): Float32Array => {
  const { pixels, side, channels } = images;
  const [from, to] = [side * side * channels, side * side * levels.length];
  const at = { tables: 0, from: levels.length * tableBytes, to: levels.length * tableBytes + align(from) };
  const missing = at.to + 4 * to - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  levels.forEach(({ values }, c) => new Float32Array(memory.buffer, at.tables + c * tableBytes).set(values));
  const source = new Uint8Array(memory.buffer, at.from, from);
  const turned = new Float32Array(memory.buffer, at.to, to);

  const result = new Float32Array(indices.length * to);
  for (let b = 0; b < indices.length; b++) {
    source.set(pixels.subarray(indices[b]! * from, (indices[b]! + 1) * from));
    const symmetry = options.augment === "none" ? 0 : options.random.integer(8);
    const { origin, right, down } = readingOrder(symmetry, side, channels);
    levels.forEach(({ channel }, c) => {
      const [first, table] = [at.from + channel + origin, at.tables + c * tableBytes];
      copyChannel(first, right, down, side, table, at.to + 4 * c, 4 * levels.length);
    });
    result.set(turned, b * to);
  }
  return result;
};

const pageBytes = 2 ** 16;
const tableBytes = 256 * 4;
const align = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/**
 * How to read an image in one of the 8 symmetries of the square: bit 2 exchanges rows and columns, bits 1 and 0 reverse
 * their directions. Output pixel (x, y) is read at origin + x · right + y · down.
 */
const readingOrder = (symmetry: number, side: number, channels: number) => {
  const pixel = symmetry & 1 ? -channels : channels;
  const row = channels * side * (symmetry & 2 ? -1 : 1);
  const origin = (symmetry & 1 ? channels * (side - 1) : 0) +
    (symmetry & 2 ? channels * side * (side - 1) : 0);
  return symmetry & 4 ? { origin, right: row, down: pixel } : { origin, right: pixel, down: row };
};
