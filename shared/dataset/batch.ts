import type { Random } from "@subtaxa/random";

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

/** The chosen images as float32 [indices.length, side, side, channels], 0 … 255 scaled to 0 … 1. */
export const batch = (
  images: Images,
  indices: ArrayLike<number>,
  options: Augmentation = { augment: "none" },
): Float32Array => {
  const { pixels, side, channels } = images;
  const size = side * side * channels;
  const result = new Float32Array(indices.length * size);
  for (let b = 0; b < indices.length; b++) {
    const image = pixels.subarray(indices[b]! * size, (indices[b]! + 1) * size);
    const symmetry = options.augment === "none" ? 0 : options.random.integer(8);
    copyTurned(image, side, channels, symmetry, result.subarray(b * size, (b + 1) * size));
  }
  return result;
};

/**
 * Copies an image in one of the 8 symmetries of the square: bit 2 exchanges rows and columns, bits 1 and 0 reverse
 * their directions. Output pixel (x, y) is read at origin + x · right + y · down.
 */
const copyTurned = (
  from: Uint8Array,
  side: number,
  channels: number,
  symmetry: number,
  to: Float32Array,
): void => {
  const pixel = channels * (symmetry & 1 ? -1 : 1);
  const row = channels * side * (symmetry & 2 ? -1 : 1);
  const origin = (symmetry & 1 ? channels * (side - 1) : 0) +
    (symmetry & 2 ? channels * side * (side - 1) : 0);
  const right = symmetry & 4 ? row : pixel;
  const down = symmetry & 4 ? pixel : row;
  let at = 0;
  for (let y = 0; y < side; y++) {
    let source = origin + y * down;
    for (let x = 0; x < side; x++, source += right) {
      for (let c = 0; c < channels; c++) to[at++] = from[source + c]! / 255;
    }
  }
};
