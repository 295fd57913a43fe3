/** How well the sub-classes that a run found agree with groups that are known from elsewhere. */
import { adjustedRandIndex, normalisedMutualInformation, purity } from "@subtaxa/metrics";
import { parse } from "csv-parse/sync";
import { z } from "zod";

/** A row of `GET /v1/runs/{id}/labels.csv`. */
const Row = z.object({
  image: z.string(),
  fold: z.coerce.number(),
  epoch: z.coerce.number(),
  class: z.string(),
  subclass: z.coerce.number(),
});

export interface SplitAgreement {
  readonly class: string;
  /** The epoch that was trained on these sub-classes. */
  readonly epoch: number;
  readonly subclasses: number;
  /** How many known groups there are among the class's training images. */
  readonly groups: number;
  readonly images: number;
  readonly adjustedRandIndex: number;
  readonly normalisedMutualInformation: number;
  /** Of the sub-classes, and what it would be without splitting: the share of the largest group. */
  readonly purity: number;
  readonly purityUnsplit: number;
}

const agreementOf = (
  rows: readonly z.infer<typeof Row>[],
  groupOf: (image: string) => string | undefined,
) => {
  const groups = rows.map(({ image }) => groupOf(image) ?? "");
  const subclasses = rows.map(({ subclass }) => String(subclass));
  return {
    subclasses: new Set(subclasses).size,
    groups: new Set(groups).size,
    images: rows.length,
    adjustedRandIndex: adjustedRandIndex(groups, subclasses),
    normalisedMutualInformation: normalisedMutualInformation(groups, subclasses),
    purity: purity(groups, subclasses),
    purityUnsplit: purity(groups, subclasses.map(() => "")),
  };
};

/**
 * One entry per class that was ever split: the sub-classes of the best epoch, or for a class that was whole then, the
 * last ones it had; as in the report's galleries.
 *
 * @param csv the pseudo-labels of a run (`labels.csv`), one fold
 * @param groupOf the known group of an image, by its path in the dataset
 */
export const splitAgreements = (
  csv: string,
  bestEpoch: number,
  groupOf: (image: string) => string | undefined,
): SplitAgreement[] => {
  const rows = z.array(Row).parse(parse(csv, { columns: true }));
  const byClass = Map.groupBy(rows, (row) => row.class);
  return [...byClass].flatMap(([name, ofClass]) => {
    const byEpoch = Map.groupBy(ofClass, ({ epoch }) => epoch);
    const split = [...byEpoch.keys()].filter((epoch) =>
      new Set(byEpoch.get(epoch)!.map(({ subclass }) => subclass)).size > 1
    );
    const epoch = split.includes(bestEpoch) ? bestEpoch : Math.max(...split);
    const chosen = byEpoch.get(epoch);
    return chosen ? [{ class: name, epoch, ...agreementOf(chosen, groupOf) }] : [];
  });
};
