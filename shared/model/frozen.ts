import {
  ArtifactError,
  decodeFeatures,
  decodeViews,
  type Features,
  featuresOf,
  requireImages,
  type RunSpec,
} from "@subtaxa/contracts";
import { readOnce } from "@subtaxa/tensorflow";
import { basename } from "node:path";

/** A frozen backbone's features of every image of a dataset, in the manifest's order. */
export interface FrozenFeatures extends Features {
  /** Of each image the mean over its views, N × dimension. */
  readonly values: Float32Array;
  /** Those of each view, N × views × dimension: for training, and absent where the only view is the image itself. */
  readonly each?: { readonly views: number; readonly values: Float16Array };
}

/** The mean over the views of each image: N × dimension. */
const meanOfViews = (values: Float16Array, views: number, dimension: number): Float32Array => {
  const mean = new Float32Array(values.length / views);
  for (let from = 0, to = 0; from < values.length; from += views * dimension, to += dimension) {
    for (let d = 0; d < dimension; d++) {
      let sum = 0;
      for (let at = from + d; at < from + views * dimension; at += dimension) sum += values[at]!;
      mean[to + d] = sum / views;
    }
  }
  return mean;
};

/**
 * Reads the features that stand for the `images` images of a run's dataset. Throws `ArtifactError` unless there is one row for
 * each image, in the manifest's order, of as many views and values as the run says, all of them finite.
 *
 * @param each whether to keep the views beside their mean: eight of them take four times its memory
 */
export const readFrozen = (
  file: string,
  { backbone, views }: Pick<RunSpec, "backbone" | "views">,
  images: number,
  each: boolean,
): FrozenFeatures => {
  const bytes = readOnce(file);
  const artifact = views === 1 ? "features" : "views";
  const wrong = (detail: string) =>
    new ArtifactError({
      reason: { _tag: "Malformed", artifact },
      message: `${basename(file)} does not hold the ${artifact} of the run's images: ${detail}`,
    });
  const table = views === 1 ? { ...decodeFeatures(bytes), views } : decodeViews(bytes);
  const { image, dimension } = table;
  requireImages(artifact, table, Uint32Array.from({ length: images }, (_, index) => index));
  if (table.views !== views) throw wrong(`it has ${table.views} views of each image, not ${views}`);
  if (dimension !== featuresOf[backbone]) {
    throw wrong(`its rows have ${dimension} values, not the ${featuresOf[backbone]} of ${backbone}`);
  }
  const values = table.values instanceof Float16Array
    ? meanOfViews(table.values, views, dimension)
    : table.values;
  // a value that is not finite makes its mean so
  const infinite = values.findIndex((value) => !Number.isFinite(value));
  if (infinite >= 0) throw wrong(`image ${Math.floor(infinite / dimension)} has a value that is not finite`);
  return {
    ...{ image, values, dimension },
    ...(each && table.values instanceof Float16Array ? { each: { views, values: table.values } } : {}),
  };
};
