import { type SplitAgreement, splitAgreements } from "../splits/mod.ts";

/** A row of `labels.csv` begins so: the image's path, quoted where needed, its fold and its epoch. */
const beginning = /^(?:"(?:[^"]|"")*"|[^,"]*),(\d+),(\d+),/;

/** Lines of a CSV: a line break within quotes doesn't end one. */
async function* csvLines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let pending = "";
  let searched = 0;
  let quoted = false;
  for await (const chunk of chunks) {
    pending += chunk;
    let from = 0;
    for (; searched < pending.length; searched++) {
      const character = pending[searched];
      if (character === '"') quoted = !quoted;
      if (character !== "\n" || quoted) continue;
      yield pending.slice(from, searched + 1);
      from = searched + 1;
    }
    pending = pending.slice(from);
    searched -= from;
  }
  if (pending !== "") yield pending;
}

/**
 * Of the pseudo-labels of a run (`labels.csv`, which may be far larger than memory), those of one epoch per fold: a CSV
 * with the same header for each.
 *
 * @param epochs the epoch of each fold
 */
export const labelsOfEpochs = async (
  chunks: AsyncIterable<string>,
  epochs: ReadonlyMap<number, number>,
): Promise<ReadonlyMap<number, string>> => {
  let header: string | undefined;
  const rows = new Map<number, string[]>();
  for await (const line of csvLines(chunks)) {
    if (header === undefined) {
      header = line;
      continue;
    }
    const [, fold, epoch] = beginning.exec(line) ?? [];
    if (fold === undefined || epochs.get(Number(fold)) !== Number(epoch)) continue;
    const ofFold = rows.get(Number(fold)) ?? [];
    ofFold.push(line);
    rows.set(Number(fold), ofFold);
  }
  return new Map(Array.from(rows, ([fold, lines]) => [fold, `${header}${lines.join("")}`]));
};

/** The known group of an image: the part of its file name before the separator; undefined when that isn't in it. */
export const groupBefore = (separator: string) => (image: string): string | undefined => {
  const name = image.slice(image.lastIndexOf("/") + 1);
  const at = name.indexOf(separator);
  return at < 0 ? undefined : name.slice(0, at);
};

/** How the sub-classes of each fold's best epoch agree with the groups; only classes that were divided then. */
export const agreementsOf = (
  labels: ReadonlyMap<number, string>,
  epochs: ReadonlyMap<number, number>,
  groupOf: (image: string) => string | undefined,
): (SplitAgreement & { readonly fold: number })[] =>
  [...labels].sort(([a], [b]) => a - b).flatMap(([fold, csv]) =>
    splitAgreements(csv, epochs.get(fold)!, groupOf).map((agreement) => ({ fold, ...agreement }))
  );
