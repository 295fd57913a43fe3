import type { Manifest } from "@subtaxa/contracts";
import { z } from "zod";

/** How many size features an image has. */
export const SIZES = 3;

/** Logarithms of the size of every image, N × 3 row-major, as the manifest has it. */
export type LogSizes = Float32Array;

/**
 * For each image, in the manifest's order, ln of its longer side, of its shorter side, and of their ratio: of the image before
 * it was padded and reduced, in µm where the size of a pixel is known, otherwise in pixels.
 */
export const logSizes = ({ images, pixelSize }: Pick<Manifest, "images" | "pixelSize">): LogSizes => {
  const sizes = new Float32Array(images.length * SIZES);
  images.forEach(({ width, height }, image) => {
    const [longer, shorter] = [Math.max(width, height), Math.min(width, height)]
      .map((side) => Math.log(side * (pixelSize ?? 1))) as [number, number];
    sizes.set([longer, shorter, longer - shorter], image * SIZES);
  });
  return sizes;
};

const PerSize = z.array(z.number()).length(SIZES);

/** Mean and standard deviation of each size feature; deviation 0: all values are equal. */
export const SizeScaling = z.object({ mean: PerSize, deviation: z.array(z.number().min(0)).length(SIZES) });
export type SizeScaling = z.infer<typeof SizeScaling>;

/** Mean and standard deviation (population) over the training images, of which there is at least one. */
export const sizeScalingOf = (sizes: LogSizes, train: Uint32Array): SizeScaling => {
  const columns = Array.from(
    { length: SIZES },
    (_, column) => Array.from(train, (image) => sizes[image * SIZES + column]!),
  );
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const mean = columns.map(meanOf);
  const deviation = columns.map((values, column) =>
    values.every((value) => value === values[0])
      ? 0
      : Math.sqrt(meanOf(values.map((value) => (value - mean[column]!) ** 2)))
  );
  return { mean, deviation };
};

/** Images further from the mean count as so many deviations: where nearly all have one size, any other is very far. */
const FURTHEST = 5;

/** The chosen images' standardised size features, n × 3 row-major. A feature that is constant in training is 0. */
export const standardise = (
  sizes: LogSizes,
  indices: ArrayLike<number>,
  { mean, deviation }: SizeScaling,
): Float32Array => {
  const out = new Float32Array(indices.length * SIZES);
  for (let n = 0; n < indices.length; n++) {
    for (let column = 0; column < SIZES; column++) {
      if (deviation[column] === 0) continue;
      const z = (sizes[indices[n]! * SIZES + column]! - mean[column]!) / deviation[column]!;
      out[n * SIZES + column] = Math.max(-FURTHEST, Math.min(FURTHEST, z));
    }
  }
  return out;
};
