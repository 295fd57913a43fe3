import { stringify } from "csv-stringify/sync";
import { type Labels, type Manifest, type Predictions, reasonGroup, type Rejected } from "@subtaxa/contracts";

/**
 * Tables: UTF-8, comma-separated, quoted as in RFC 4180, lines end in LF. They come in pieces, so that a server can send a
 * large table without making others wait: `ReadableStream.from(predictionsCsv(…)).pipeThrough(new TextEncoderStream())`.
 */

/** Who reads a table. */
export interface CsvOptions {
  /**
   * For a spreadsheet: a byte order mark, by which Excel recognises UTF-8, and an apostrophe before text that it would take for
   * a formula (text that begins with = + - @, a tab or a carriage return). Without it, names are exactly as they are.
   */
  readonly spreadsheet?: boolean;
}

const rowsPerPiece = 200;

async function* csv<T>(
  { header, spreadsheet = false }: CsvOptions & { readonly header: readonly string[] },
  parts: Iterable<T> | AsyncIterable<T>,
  rowsOf: (part: T) => Iterable<unknown[]>,
): AsyncGenerator<string> {
  const text = (rows: readonly (readonly unknown[])[]) =>
    stringify(rows as unknown[][], { escape_formulas: spreadsheet });
  yield (spreadsheet ? "\uFEFF" : "") + text([header]);
  for await (const part of parts) {
    let piece: unknown[][] = [];
    for (const row of rowsOf(part)) {
      if (piece.push(row) < rowsPerPiece) continue;
      yield text(piece);
      piece = [];
    }
    if (piece.length > 0) yield text(piece);
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

/** The column of a class: with its prefix, no name of a class can be that of another column. */
const probabilityOf = (className: string) => `probability:${className}`;

/**
 * `image,fold,true,predicted`, then a column `probability:<class>` for each class: every held-out image of the folds, in
 * the order given. Throws `RangeError` when they are predictions for another dataset.
 */
export const predictionsCsv = (
  folds: Iterable<FoldPredictions> | AsyncIterable<FoldPredictions>,
  manifest: Manifest,
  options: CsvOptions = {},
): AsyncIterable<string> => {
  const { classes } = manifest;
  const header = ["image", "fold", "true", "predicted", ...classes.map(probabilityOf)];
  return csv({ header, ...options }, folds, function* ({ fold, predictions }) {
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
  options: CsvOptions = {},
): AsyncIterable<string> => {
  const header = ["image", "fold", "epoch", "class", "subclass", "label", "distance"];
  return csv({ header, ...options }, tables, function* ({ fold, epoch, labels }) {
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

/** `file,reason,group`: what an import has left out, and what its reason has in common with those of others. */
export const rejectedCsv = (
  rejected: readonly Rejected[],
  options: CsvOptions = {},
): AsyncIterable<string> =>
  csv({ header: ["file", "reason", "group"], ...options }, [rejected], function* (all) {
    for (const { file, reason } of all) yield [file, reason, reasonGroup(reason)];
  });
