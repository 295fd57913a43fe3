import type { Samples } from "./decode.ts";
import { type Image, resizeSquare } from "./resample.ts";

/**
 * 8-bit grey or RGB. Without alpha: transparent parts are laid on white, as a page would show them. RGB whose
 * channels are equal everywhere becomes grey.
 */
export const greyOrRgb = (samples: Samples): Image => {
  const { width, height, channels } = samples;
  const bytes = samples.data instanceof Uint16Array ? to8bit(samples.data, channels) : samples.data;
  const data = channels === 2 || channels === 4 ? onWhite(bytes, channels) : bytes;
  if (channels < 3) return { width, height, channels: 1, data };
  return isGrey(data)
    ? { width, height, channels: 1, data: everyThird(data) }
    : { width, height, channels: 3, data };
};

/** Bits per sample of scientific cameras, whose images come in 16-bit files. */
const depths = [8, 10, 12, 14, 16];

/**
 * Scales linearly from 0 … 2^b − 1 to 0 … 255, where b is the least of 8, 10, 12, 14 and 16 bits that hold the image's
 * brightest sample. Scaling by the full range would leave 16 shades of a 12-bit camera's image; by each image's own
 * minimum and maximum it would make a single hot pixel decide, and lose how bright specimens are compared with each
 * other.
 */
const to8bit = (data: Uint16Array, channels: number): Uint8Array => {
  const alpha = channels % 2 === 0 ? channels - 1 : -1;
  let brightest = 0;
  for (let i = 0; i < data.length; i++) {
    if (i % channels !== alpha && data[i]! > brightest) brightest = data[i]!;
  }
  const bits = depths.find((depth) => brightest < 2 ** depth) ?? 16;
  const scale = 255 / (2 ** bits - 1);
  const result = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    result[i] = data[i]! * (i % channels === alpha ? 255 / 65535 : scale) + 0.5;
  }
  return result;
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

const isGrey = (rgb: Uint8Array): boolean => {
  for (let i = 0; i < rgb.length; i += 3) if (rgb[i] !== rgb[i + 1] || rgb[i] !== rgb[i + 2]) return false;
  return true;
};

const everyThird = (rgb: Uint8Array): Uint8Array => {
  const result = new Uint8Array(rgb.length / 3);
  for (let i = 0; i < result.length; i++) result[i] = rgb[3 * i]!;
  return result;
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
 * is odd), and area-averages it to at most `maxSide` pixels; never enlarges. The result's side is
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
