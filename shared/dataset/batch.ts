import type { Random } from "@subtaxa/random";
import { copyPixels, memory } from "./batch.wasm";

/** Square images of one size, uint8 [count, side, side, channels]. */
export interface Images {
  readonly pixels: Uint8Array;
  readonly side: number;
  /** 1 when all images are grey. */
  readonly channels: 1 | 3;
  readonly count: number;
}

/**
 * One of the 8 symmetries of the square: bit 2 exchanges rows and columns, bits 1 and 0 reverse the directions of the rows and
 * columns of the result. 0 leaves an image as it is.
 */
export type Symmetry = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** The symmetries that a number of views consists of: the image; also its mirror image; its rotations; all. */
export const symmetriesOf: Readonly<Record<1 | 2 | 4 | 8, readonly Symmetry[]>> = {
  1: [0],
  2: [0, 1],
  4: [0, 3, 5, 6],
  8: [0, 1, 2, 3, 4, 5, 6, 7],
};

export type Augmentation =
  | { readonly augment: "none"; readonly random?: Random }
  /** Every image in the same symmetry. */
  | { readonly augment: "symmetry"; readonly symmetry: Symmetry }
  /** Every image in one of the 8 symmetries of the square, each equally likely. */
  | { readonly augment: "flip-rotate"; readonly random: Random };

/**
 * What each channel of a batch is: the levels of a channel of the images, from 0 to 1, times `scale` plus `offset`. At most
 * three.
 */
export type Levels = readonly {
  readonly channel: number;
  readonly scale: number;
  readonly offset: number;
}[];

/** 0 … 1 in the images' own channels. */
const asTheyAre = (channels: number): Levels =>
  Array.from({ length: channels }, (_, channel) => ({ channel, scale: 1, offset: 0 }));

/**
 * The chosen images as float32 [indices.length, side, side, levels.length]; without `levels` scaled to 0 … 1. The next call
 * overwrites what this one gave: fresh memory for every batch would take longer than filling it. TensorFlow copies it.
 */
export const batch = (
  images: Images,
  indices: ArrayLike<number>,
  options: Augmentation = { augment: "none" },
  levels: Levels = asTheyAre(images.channels),
): Float32Array => {
  const { pixels, side, channels } = images;
  const [from, to] = [side * side * channels, side * side * levels.length];
  const at = { levels: 0, from: levelsBytes, to: Math.ceil((levelsBytes + from + 3) / 16) * 16 };
  const end = at.to + 4 * indices.length * to + 12;
  const missing = end - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  writeLevels(levels, at.levels);
  const source = new Uint8Array(memory.buffer, at.from, from);
  for (let b = 0; b < indices.length; b++) {
    source.set(pixels.subarray(indices[b]! * from, (indices[b]! + 1) * from));
    const { origin, right, down } = readingOrder(symmetryOf(options), side, channels);
    copyPixels(at.from + origin, right, down, side, at.levels, at.to + 4 * b * to, 4 * levels.length);
  }
  return new Float32Array(memory.buffer, at.to, indices.length * to);
};

const pageBytes = 2 ** 16;

/** Lays the levels out as the kernel reads them: three vectors of four lanes. */
const writeLevels = (levels: Levels, at: number): void => {
  // A byte from beyond the vector is zero.
  const lanes = new Uint8Array(memory.buffer, at, 16).fill(255);
  const [scale, offset] = [16, 32].map((part) => new Float32Array(memory.buffer, at + part, 4));
  levels.forEach((level, lane) => {
    lanes[4 * lane] = level.channel;
    scale![lane] = level.scale;
    offset![lane] = level.offset;
  });
};
const levelsBytes = 48;

const symmetryOf = (options: Augmentation): number => {
  if (options.augment === "flip-rotate") return options.random.integer(symmetriesOf[8].length);
  return options.augment === "symmetry" ? options.symmetry : 0;
};

/** How to read an image in a symmetry: output pixel (x, y) is read at origin + x · right + y · down. */
const readingOrder = (symmetry: number, side: number, channels: number) => {
  const pixel = symmetry & 1 ? -channels : channels;
  const row = channels * side * (symmetry & 2 ? -1 : 1);
  const origin = (symmetry & 1 ? channels * (side - 1) : 0) +
    (symmetry & 2 ? channels * side * (side - 1) : 0);
  return symmetry & 4 ? { origin, right: row, down: pixel } : { origin, right: pixel, down: row };
};
