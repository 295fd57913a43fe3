/** How well the sub-classes that a run found agree with groups that are known from elsewhere. */
import { adjustedRandIndex, normalisedMutualInformation, purity } from "@subtaxa/metrics";
import { parse } from "csv-parse/stream";
import { z } from "zod";

/** The known group of an image: the part of its file name before the separator; undefined when that isn't in it. */
export const groupBefore = (separator: string) => (image: string): string | undefined => {
  const name = image.slice(image.lastIndexOf("/") + 1);
  const at = name.indexOf(separator);
  return at < 0 ? undefined : name.slice(0, at);
};

/** A row of `GET /v1/runs/{id}/labels.csv`. */
export const LabelRow = z.object({
  image: z.string(),
  fold: z.coerce.number(),
  epoch: z.coerce.number(),
  class: z.string(),
  subclass: z.coerce.number(),
});
export type LabelRow = z.infer<typeof LabelRow>;

/** The rows one after the other, as the table may be far larger than memory. */
export async function* labelRows(csv: ReadableStream<Uint8Array>): AsyncGenerator<LabelRow> {
  for await (const record of csv.pipeThrough(parse({ columns: true }))) yield LabelRow.parse(record);
}

export interface SplitAgreement {
  readonly class: string;
  /** The epoch that was trained on these sub-classes. */
  readonly epoch: number;
  readonly subclasses: number;
  /** How many known groups there are among the class's training images. */
  readonly groups: number;
  /** Training images with a known group: those that are compared. */
  readonly images: number;
  /** Training images without one. */
  readonly ungrouped: number;
  readonly adjustedRandIndex: number;
  readonly normalisedMutualInformation: number;
  /** Of the sub-classes, and what it would be without splitting: the share of the largest group. */
  readonly purity: number;
  readonly purityUnsplit: number;
}

const agreementOf = (
  rows: readonly LabelRow[],
  groupOf: (image: string) => string | undefined,
): Omit<SplitAgreement, "class" | "epoch"> => {
  const known = rows.flatMap(({ image, subclass }) => {
    const group = groupOf(image);
    return group === undefined ? [] : [{ group, subclass: String(subclass) }];
  });
  const groups = known.map(({ group }) => group);
  const subclasses = known.map(({ subclass }) => subclass);
  return {
    subclasses: new Set(rows.map(({ subclass }) => subclass)).size,
    groups: new Set(groups).size,
    images: known.length,
    ungrouped: rows.length - known.length,
    adjustedRandIndex: adjustedRandIndex(groups, subclasses),
    normalisedMutualInformation: normalisedMutualInformation(groups, subclasses),
    purity: purity(groups, subclasses),
    purityUnsplit: purity(groups, subclasses.map(() => "")),
  };
};

/**
 * One entry per class that was ever split and has images of known groups: the sub-classes of the best epoch, or for a class
 * that was whole then, the last ones it had; as in the report's galleries.
 *
 * @param rows the pseudo-labels of a run, one fold
 * @param groupOf the known group of an image, by its path in the dataset; images without one are left out, and counted
 */
export const splitAgreements = (
  rows: readonly LabelRow[],
  bestEpoch: number,
  groupOf: (image: string) => string | undefined,
): SplitAgreement[] => {
  const byClass = Map.groupBy(rows, (row) => row.class);
  return [...byClass].flatMap(([name, ofClass]) => {
    const byEpoch = Map.groupBy(ofClass, ({ epoch }) => epoch);
    const split = [...byEpoch.keys()].filter((epoch) =>
      new Set(byEpoch.get(epoch)!.map(({ subclass }) => subclass)).size > 1
    );
    const epoch = split.includes(bestEpoch) ? bestEpoch : Math.max(...split);
    const chosen = byEpoch.get(epoch);
    return chosen?.some(({ image }) => groupOf(image) !== undefined)
      ? [{ class: name, epoch, ...agreementOf(chosen, groupOf) }]
      : [];
  });
};

/** The agreements that say something: with a single known group, any split has an adjusted Rand index of 0. */
export const telling = <A extends Pick<SplitAgreement, "groups">>(agreements: readonly A[]): A[] =>
  agreements.filter(({ groups }) => groups > 1);

export type Indices = Pick<
  SplitAgreement,
  "adjustedRandIndex" | "normalisedMutualInformation" | "purity" | "purityUnsplit"
>;

/** The means over the classes whose agreement says something; undefined where none does. */
export const meanAgreement = (
  agreements: readonly (Indices & Pick<SplitAgreement, "groups">)[],
): Indices | undefined => {
  const some = telling(agreements);
  const mean = (index: keyof Indices) => some.reduce((sum, one) => sum + one[index], 0) / some.length;
  return some.length === 0 ? undefined : {
    adjustedRandIndex: mean("adjustedRandIndex"),
    normalisedMutualInformation: mean("normalisedMutualInformation"),
    purity: mean("purity"),
    purityUnsplit: mean("purityUnsplit"),
  };
};
