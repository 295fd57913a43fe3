import { type LabelRow, type SplitAgreement, splitAgreements } from "../splits/mod.ts";

/** Of the pseudo-labels of a run, those of one epoch per fold: `epochs` has the epoch of each. */
export const labelsOfEpochs = async (
  rows: AsyncIterable<LabelRow>,
  epochs: ReadonlyMap<number, number>,
): Promise<ReadonlyMap<number, readonly LabelRow[]>> => {
  const byFold = new Map<number, LabelRow[]>();
  for await (const row of rows) {
    if (epochs.get(row.fold) !== row.epoch) continue;
    const ofFold = byFold.get(row.fold);
    if (ofFold) ofFold.push(row);
    else byFold.set(row.fold, [row]);
  }
  return byFold;
};

/** How the sub-classes of each fold's best epoch agree with the groups; only classes that were divided then. */
export const agreementsOf = (
  labels: ReadonlyMap<number, readonly LabelRow[]>,
  epochs: ReadonlyMap<number, number>,
  groupOf: (image: string) => string | undefined,
): (SplitAgreement & { readonly fold: number })[] =>
  [...labels].sort(([a], [b]) => a - b).flatMap(([fold, rows]) =>
    splitAgreements(rows, epochs.get(fold)!, groupOf).map((agreement) => ({ fold, ...agreement }))
  );
