import type { SampleDepth } from "@subtaxa/contracts";
import { createHash } from "node:crypto";
import type { Samples } from "./decode.ts";
import { beyondOffset, type DepthStatistics, nearOffset } from "./depth.ts";
import { type Image, resizeSquare } from "./resample.ts";

/** An image in 8 bits, how many 16-bit samples it had, and how many of them lie outside of the dataset's depth. */
export interface Converted {
  readonly image: Image;
  readonly deep: number;
  readonly clipped: number;
}

/**
 * 8-bit grey or RGB. Without alpha: transparent parts are laid on white, as a page would show them. RGB whose
 * channels are equal everywhere becomes grey. 16-bit samples are scaled linearly by the depth of their dataset, which is the same
 * for all its images: a depth of its own would make a single hot pixel decide how bright an image is.
 */
export const greyOrRgb = (samples: Samples, depth: SampleDepth): Converted => {
  const { width, height, channels } = samples;
  const { data: bytes, deep, clipped } = samples.data instanceof Uint16Array
    ? to8bit(samples.data, channels, depth)
    : { data: samples.data, deep: 0, clipped: 0 };
  const data = channels === 2 || channels === 4 ? onWhite(bytes, channels) : bytes;
  const image: Image = channels < 3
    ? { width, height, channels: 1, data }
    : isGrey(data)
    ? { width, height, channels: 1, data: everyThird(data) }
    : { width, height, channels: 3, data };
  return { image, deep, clipped };
};

/** `offset` … `offset` + 2^`bits` − 1 → 0 … 255; alpha covers all 16 bits. */
const to8bit = (data: Uint16Array, channels: number, { bits, offset }: SampleDepth) => {
  const alpha = alphaOf(channels);
  const most = 2 ** bits - 1;
  const result = new Uint8Array(data.length);
  let clipped = 0;
  let deep = 0;
  for (let i = 0; i < data.length; i++) {
    if (i % channels === alpha) {
      result[i] = data[i]! * 255 / 65535 + 0.5;
      continue;
    }
    deep += 1;
    const value = data[i]! - offset;
    if (value < 0 || value > most) clipped += 1;
    result[i] = Math.min(Math.max(value, 0), most) * 255 / most + 0.5;
  }
  return { data: result, deep, clipped };
};

/** Which channel of a pixel is alpha; −1 without one. */
const alphaOf = (channels: number): number => channels % 2 === 0 ? channels - 1 : -1;

/** Counts the values of 16-bit samples, without alpha. */
export const depthStatisticsOf = ({ channels, data }: Samples): DepthStatistics => {
  const alpha = alphaOf(channels);
  let [smallest, largest, samples, high] = [65535, 0, 0, 0];
  for (let i = 0; i < data.length; i++) {
    if (i % channels === alpha) continue;
    const value = data[i]!;
    if (value < smallest) smallest = value;
    if (value > largest) largest = value;
    if (value >= nearOffset) high += 1;
    samples += 1;
  }
  const shifted = largest < beyondOffset && high >= 0.99 * samples ? 1 : 0;
  return { images: 1, samples, smallest, largest, shifted };
};

const onWhite = (data: Uint8Array, channels: 2 | 4): Uint8Array => {
  const colours = channels - 1;
  const result = new Uint8Array(data.length / channels * colours);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const alpha = data[from + colours]! / 255;
    for (let c = 0; c < colours; c++, to++) result[to] = alpha * data[from + c]! + (1 - alpha) * 255 + 0.5;
  }
  return result;
};

const isGrey = (rgb: Uint8Array | Uint16Array): boolean => {
  for (let i = 0; i < rgb.length; i += 3) if (rgb[i] !== rgb[i + 1] || rgb[i] !== rgb[i + 2]) return false;
  return true;
};

/** The first of three equal channels. */
const everyThird = <A extends Uint8Array | Uint16Array>(rgb: A): A => {
  const result = rgb.slice(0, rgb.length / 3);
  for (let i = 0; i < result.length; i++) result[i] = rgb[3 * i]!;
  return result as A;
};

/** 16-bit samples without their alpha where all of it is opaque. */
const withoutOpaque = (data: Uint16Array, channels: number) => {
  const alpha = alphaOf(channels);
  if (alpha < 0 || data.some((value, i) => i % channels === alpha && value !== 65535)) {
    return { data, channels };
  }
  return { data: data.filter((_, i) => i % channels !== alpha), channels: channels - 1 };
};

/**
 * SHA-256, in hexadecimal, of a decoded picture in the simplest form that holds it exactly: without alpha where it is opaque,
 * grey where RGB channels are equal, 8 bits where 16-bit samples are those of an 8-bit image, as they are or stretched (× 257). So it is equal for equal pictures,
 * whatever their encoding, and different where only the low bits of 16 differ. `image` is the 8-bit picture of `samples`.
 */
export const pixelHashOf = ({ width, height, channels, data }: Samples, image: Image): string => {
  const hash = createHash("sha256").update(Uint32Array.of(width, height));
  if (data instanceof Uint8Array) return hash.update(image.data).digest("hex");
  const opaque = withoutOpaque(data, channels);
  // What is partly transparent counts as it is laid on white in 8 bits, as an 8-bit image of the same values is.
  if (opaque.channels % 2 === 0 && opaque.data.every((value) => value % 257 === 0)) {
    const narrow = Uint8Array.from(opaque.data, (value) => value / 257);
    const { image } = greyOrRgb({ width, height, channels, data: narrow }, { bits: 16, offset: 0 });
    return hash.update(image.data).digest("hex");
  }
  const plain = opaque.channels === 3 && isGrey(opaque.data) ? everyThird(opaque.data) : opaque.data;
  const isNarrow = plain.every((value) => value < 256);
  const unit = isNarrow ? 1 : [257, 256].find((unit) => plain.every((value) => value % unit === 0));
  return hash.update(unit === undefined ? plain : Uint8Array.from(plain, (value) => value / unit)).digest(
    "hex",
  );
};

/** Median of each channel over the outermost pixels; of an even number the lower of the middle two. */
export const borderMedian = (image: Image): number[] => {
  const { width, height, channels, data } = image;
  const counts = Array.from({ length: channels }, () => new Uint32Array(256));
  let pixels = 0;
  const count = (x: number, y: number) => {
    for (let c = 0; c < channels; c++) counts[c]![data[(y * width + x) * channels + c]!]! += 1;
    pixels += 1;
  };
  for (let x = 0; x < width; x++) {
    count(x, 0);
    if (height > 1) count(x, height - 1);
  }
  for (let y = 1; y < height - 1; y++) {
    count(0, y);
    if (width > 1) count(width - 1, y);
  }
  return counts.map((histogram) => {
    let value = 0;
    for (let seen = histogram[0]!; seen < pixels / 2; seen += histogram[value]!) value += 1;
    return value;
  });
};

/**
 * Pads to a square with the border's median colour, the image in the middle (half a pixel up and left when the padding
 * is odd), and reduces it to at most `maxSide` pixels; never enlarges. The result's side is
 * min(max(width, height), maxSide).
 */
export const toSquare = (image: Image, maxSide: number): Image => {
  const { width, height, channels, data } = image;
  const total = Math.max(width, height);
  if (width === height && total <= maxSide) return image;
  const background = borderMedian(image);
  if (total > maxSide) {
    return { width: maxSide, height: maxSide, channels, data: resizeSquare(image, maxSide, background) };
  }
  const square = new Uint8Array(total * total * channels);
  if (channels === 1) square.fill(background[0]!);
  else for (let i = 0; i < square.length; i++) square[i] = background[i % 3]!;
  const left = (total - width) >> 1;
  const top = (total - height) >> 1;
  for (let y = 0; y < height; y++) {
    square.set(
      data.subarray(y * width * channels, (y + 1) * width * channels),
      ((top + y) * total + left) * channels,
    );
  }
  return { width: total, height: total, channels, data: square };
};
