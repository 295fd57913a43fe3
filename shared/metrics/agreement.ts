/**
 * Agreement of two labellings of the same things, say of the clusters found with the true taxa. Labels are
 * anything that a Map tells apart; only which things share a label counts. All throw `RangeError` when the
 * lengths differ.
 */

type Labels = ArrayLike<number> | ArrayLike<string>;

interface Contingency {
  readonly total: number;
  /** Things per label. */
  readonly a: readonly number[];
  readonly b: readonly number[];
  /** Things per pair of labels that occurs: indices into `a` and `b`, and the count. */
  readonly cells: readonly { readonly a: number; readonly b: number; readonly count: number }[];
}

const indicesOf = (labels: Labels) => {
  const indices = new Map<number | string, number>();
  const totals: number[] = [];
  const index = Int32Array.from({ length: labels.length }, (_, i) => {
    const label = labels[i]!;
    let at = indices.get(label);
    if (at === undefined) indices.set(label, at = totals.push(0) - 1);
    totals[at]!++;
    return at;
  });
  return { index, totals };
};

const contingencyOf = (a: Labels, b: Labels): Contingency => {
  if (a.length !== b.length) throw new RangeError(`${a.length} labels can't be compared with ${b.length}`);
  const [first, second] = [indicesOf(a), indicesOf(b)];
  const counts = new Map<number, number>();
  for (let i = 0; i < a.length; i++) {
    const cell = first.index[i]! * second.totals.length + second.index[i]!;
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const cells = Array.from(counts, ([cell, count]) => ({
    a: Math.floor(cell / second.totals.length),
    b: cell % second.totals.length,
    count,
  }));
  return { total: a.length, a: first.totals, b: second.totals, cells };
};

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const pairs = (n: number) => n * (n - 1) / 2;

/**
 * Adjusted Rand index (Hubert & Arabie 1985): on how many pairs both labellings agree, adjusted so that
 * chance gives 0 on average and equal groupings 1. Two labellings with one group each, or with groups of one
 * only, are equal: 1.
 */
export const adjustedRandIndex = (a: Labels, b: Labels): number => {
  const table = contingencyOf(a, b);
  const together = sum(table.cells.map(({ count }) => pairs(count)));
  const inA = sum(table.a.map(pairs));
  const inB = sum(table.b.map(pairs));
  const most = (inA + inB) / 2;
  const expected = table.total < 2 ? 0 : inA * inB / pairs(table.total);
  return most === expected ? 1 : (together - expected) / (most - expected);
};

const entropy = (totals: readonly number[], total: number) =>
  -sum(totals.map((count) => count / total * Math.log(count / total)));

/**
 * Normalised mutual information, by the arithmetic mean of the two entropies: 0 for independent labellings, 1
 * for equal groupings. When one of them has a single group: 1 if both have, otherwise 0.
 */
export const normalisedMutualInformation = (a: Labels, b: Labels): number => {
  const table = contingencyOf(a, b);
  if (table.a.length <= 1 && table.b.length <= 1) return 1;
  const { total } = table;
  const shared = sum(
    table.cells.map(({ a, b, count }) =>
      count / total * Math.log(count * total / (table.a[a]! * table.b[b]!))
    ),
  );
  const mean = (entropy(table.a, total) + entropy(table.b, total)) / 2;
  // Rounding may lead a hair outside.
  return Math.min(1, Math.max(0, shared / mean));
};

/** Share of the things that are of their cluster's most frequent class. 1 when there is nothing. */
export const purity = (classes: Labels, clusters: Labels): number => {
  const { total, b, cells } = contingencyOf(classes, clusters);
  const majority = b.map(() => 0);
  for (const cell of cells) majority[cell.b] = Math.max(majority[cell.b]!, cell.count);
  return total === 0 ? 1 : sum(majority) / total;
};
