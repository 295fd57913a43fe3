import { stringify } from "csv-stringify/sync";
import type { Labels, Manifest, Predictions } from "@subtaxa/contracts";

/**
 * Tables for people and spreadsheets: UTF-8, comma-separated, quoted as in RFC 4180, lines end in LF. They come in
 * pieces, so that a server can send a large table without making others wait:
 * `ReadableStream.from(predictionsCsv(…)).pipeThrough(new TextEncoderStream())`.
 */

const rowsPerPiece = 200;

async function* csv<T>(
  header: string[],
  parts: Iterable<T> | AsyncIterable<T>,
  rowsOf: (part: T) => Iterable<unknown[]>,
): AsyncGenerator<string> {
  yield stringify([header]);
  for await (const part of parts) {
    let piece: unknown[][] = [];
    for (const row of rowsOf(part)) {
      if (piece.push(row) < rowsPerPiece) continue;
      yield stringify(piece);
      piece = [];
    }
    if (piece.length > 0) yield stringify(piece);
  }
}

/** Nine significant digits: reading them back gives the very same 32-bit float. */
const exact = (value: number) => Number(value.toPrecision(9));

const imageOf = (manifest: Manifest, index: number) => {
  const image = manifest.images[index];
  if (image === undefined) {
    throw new RangeError(
      `image ${index}: dataset '${manifest.name}' has only ${manifest.images.length} images`,
    );
  }
  return image.path;
};

/** The predictions of one fold on its held-out images. */
export interface FoldPredictions {
  readonly fold: number;
  readonly predictions: Predictions;
}

/**
 * `image,fold,true,predicted`, then one column per class with its probability: every held-out image of the folds, in the
 * order given. Throws `RangeError` when they are predictions for another dataset.
 */
export const predictionsCsv = (
  folds: Iterable<FoldPredictions> | AsyncIterable<FoldPredictions>,
  manifest: Manifest,
): AsyncIterable<string> => {
  const { classes } = manifest;
  return csv(["image", "fold", "true", "predicted", ...classes], folds, function* ({ fold, predictions }) {
    if (predictions.classes !== classes.length) {
      throw new RangeError(
        `fold ${fold} was predicted for ${predictions.classes} classes, but '${manifest.name}' has ${classes.length}`,
      );
    }
    for (const [i, image] of predictions.image.entries()) {
      const probability = predictions.probability.subarray(i * classes.length, (i + 1) * classes.length);
      yield [
        imageOf(manifest, image),
        fold,
        classes[predictions.true[i]!],
        classes[predictions.predicted[i]!],
        ...Array.from(probability, exact),
      ];
    }
  });
};

/** A sub-class as people see it: `copepod/2`. */
export const subclassLabel = (className: string, id: number): string => `${className}/${id}`;

/** The pseudo-labels that one epoch of a fold was trained on. */
export interface EpochLabels {
  readonly fold: number;
  readonly epoch: number;
  readonly labels: Labels;
}

/**
 * `image,fold,epoch,class,subclass,label,distance`: the pseudo-label of every training image in the tables given, where
 * `epoch` is the one that was trained on it, `label` is like `copepod/2`, and `distance` that to the cluster's centre.
 * Throws `RangeError` when they are labels for another dataset.
 */
export const labelsCsv = (
  tables: Iterable<EpochLabels> | AsyncIterable<EpochLabels>,
  manifest: Manifest,
): AsyncIterable<string> => {
  const header = ["image", "fold", "epoch", "class", "subclass", "label", "distance"];
  return csv(header, tables, function* ({ fold, epoch, labels }) {
    for (const [i, image] of labels.image.entries()) {
      const name = manifest.classes[labels.class[i]!];
      if (name === undefined) {
        throw new RangeError(
          `fold ${fold}, epoch ${epoch}: '${manifest.name}' has no class ${labels.class[i]}`,
        );
      }
      const id = labels.cluster[i]!;
      yield [
        imageOf(manifest, image),
        fold,
        epoch,
        name,
        id,
        subclassLabel(name, id),
        exact(labels.distance[i]!),
      ];
    }
  });
};
