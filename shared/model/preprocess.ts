import type { Tensor4D } from "@tensorflow/tfjs";
import { tf } from "@subtaxa/tensorflow";
import type { Preprocessing } from "./networks.ts";

/** Pixels as the dataset holds them: N × side × side × channels, 8 bit. */
export interface PixelBatch {
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly side: number;
  readonly channels: 1 | 3;
}

/** What a network takes: N × side × side × 3, float. The caller disposes it. */
export const preprocess = (
  { pixels, count, side, channels }: PixelBatch,
  { scale, offset }: Preprocessing,
): Tensor4D =>
  tf.tidy(() => {
    const values = Float32Array.from(pixels, (value) => value * scale + offset);
    const images = tf.tensor4d(values, [count, side, side, channels]);
    return channels === 3 ? images : tf.tile(images, [1, 1, 1, 3]);
  });
