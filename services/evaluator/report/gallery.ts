import type { BlobRef, Labels } from "@subtaxa/contracts";
import {
  clustersOf,
  isValidated,
  labelsOf,
  type LoggedEpoch,
  type LoggedFold,
  type RunLog,
} from "@subtaxa/runs";

/** The best epoch of a fold so far; undefined before the first was validated. */
export const bestEpochOf = (fold: LoggedFold): number | undefined =>
  (fold.completed ?? fold.epochs.findLast(isValidated)?.validated)?.state.best?.epoch;

const isSplit = (epoch: LoggedEpoch, index: number) => (clustersOf(epoch)[index]?.found ?? 1) > 1;

const scoreOf = (fold: LoggedFold) =>
  fold.completed?.metrics.fScore ?? fold.epochs.findLast(isValidated)?.validated.state.best?.fScore ?? 0;

/** Which division of a class to show, and the labels that hold it. */
export interface GalleryChoice {
  readonly class: string;
  /** Of the class, in `spec.classes`. */
  readonly index: number;
  readonly fold: number;
  readonly epoch: number;
  readonly labels: BlobRef;
}

/**
 * For every class that was ever split: its division in the best epoch of a fold, of the best fold where there are several;
 * for a class that was whole in all of these, the last division it had.
 */
export const galleryChoices = (log: RunLog): GalleryChoice[] => {
  const folds = log.folds.toSorted((a, b) => scoreOf(b) - scoreOf(a) || a.fold - b.fold);
  const best = folds.flatMap((fold) => fold.epochs.filter(({ epoch }) => epoch === bestEpochOf(fold)));
  const others = folds.flatMap(({ epochs }) => epochs.toReversed());
  return log.spec.classes.flatMap((name, index) => {
    for (const epoch of [...best, ...others]) {
      const labels = labelsOf(epoch);
      if (labels !== null && isSplit(epoch, index)) {
        return [{ class: name, index, fold: epoch.fold, epoch: epoch.epoch, labels }];
      }
    }
    return [];
  });
};

/** A sub-class, how many training images it has, and those nearest to its centre (indices into the manifest). */
export interface SubclassSample {
  readonly id: number;
  readonly size: number;
  readonly images: readonly number[];
}

/** The sub-classes of one class, by id; their images nearest to the centre first, ties in the manifest's order. */
export const galleryOf = (
  labels: Labels,
  { class: index, perSubclass = 8 }: { class: number; perSubclass?: number },
): SubclassSample[] => {
  const rows = labels.image.keys().filter((row) => labels.class[row] === index).toArray();
  return labels.subclasses.filter((subclass) => subclass.class === index).map(({ id }) => {
    const own = rows.filter((row) => labels.cluster[row] === id);
    const nearest = own.toSorted((a, b) =>
      labels.distance[a]! - labels.distance[b]! || labels.image[a]! - labels.image[b]!
    );
    return { id, size: own.length, images: nearest.slice(0, perSubclass).map((row) => labels.image[row]!) };
  });
};
