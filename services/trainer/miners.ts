/**
 * Which triplets of a batch count. All of this works on distances alone, in plain TypeScript: sorting them once per
 * anchor spares the cube of the batch that a formula over tensors needs, so that 1,024 images are no limit.
 */
import type { Mining } from "@subtaxa/contracts";

/** Distances of every anchor (row) to every image of the batch (column), row-major. */
export interface Distances {
  readonly values: Float32Array;
  readonly images: number;
}

export interface MinedLoss {
  readonly loss: number;
  /** Share of the triplets counted whose own loss is positive. */
  readonly active: number;
  /** Means over the triplets counted. */
  readonly positiveDistance: number;
  readonly negativeDistance: number;
  readonly triplets: number;
  /** ∂loss / ∂distance, of the same shape as the distances. */
  readonly slopes: Float32Array;
}

/** Counts the triplet of an anchor (a row of the distances), its positive and its negative (columns). */
type Count = (anchor: number, positive: number, negative: number) => void;

/** Mean of max(D(a, p) − D(a, n) + α, 0) over the triplets that `mine` counts, whether active or not. */
export const meanOfTriplets = (
  { values, images }: Distances,
  margin: number,
  mine: (count: Count) => void,
): MinedLoss => {
  const slopes = new Float32Array(values.length);
  let [triplets, active, loss, positives, negatives] = [0, 0, 0, 0, 0];
  mine((anchor, positive, negative) => {
    const [p, n] = [anchor * images + positive, anchor * images + negative];
    const hinge = values[p]! - values[n]! + margin;
    triplets++;
    positives += values[p]!;
    negatives += values[n]!;
    if (hinge <= 0) return;
    active++;
    loss += hinge;
    slopes[p]!++;
    slopes[n]!--;
  });
  const share = 1 / Math.max(triplets, 1);
  return {
    loss: loss * share,
    active: active * share,
    positiveDistance: positives * share,
    negativeDistance: negatives * share,
    triplets,
    slopes: slopes.map((slope) => slope * share),
  };
};

/** Each image that has a positive and a negative, with their columns. */
const forEachAnchor = (
  labels: ArrayLike<number>,
  use: (anchor: number, positives: readonly number[], negatives: readonly number[]) => void,
) => {
  const members = Map.groupBy(Array.from(labels).keys(), (image) => labels[image]!);
  for (const [label, group] of members) {
    const negatives = Array.from(labels).keys().filter((image) => labels[image] !== label).toArray();
    if (group.length === 1 || negatives.length === 0) continue;
    for (const anchor of group) use(anchor, group.filter((image) => image !== anchor), negatives);
  }
};

/** The column with the largest of an anchor's distances, as `sign` 1 has it, or the smallest (−1); the first on a tie. */
export const extreme = (
  { values, images }: Distances,
  anchor: number,
  columns: readonly number[],
  sign: 1 | -1,
): number =>
  columns.reduce((best, column) =>
    sign * (values[anchor * images + column]! - values[anchor * images + best]!) > 0 ? column : best
  );

/** How many of the ascending numbers are below a limit, or up to it. */
const countBelow = (ascending: Float64Array, limit: number, inclusive: boolean): number => {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (ascending[middle]! < limit || (inclusive && ascending[middle] === limit)) from = middle + 1;
    else to = middle;
  }
  return from;
};

/** An anchor's columns by ascending distance, and the distances. */
const sorted = ({ values, images }: Distances, anchor: number, columns: readonly number[]) => {
  const order = columns.toSorted((a, b) => values[anchor * images + a]! - values[anchor * images + b]!);
  return { order, ascending: Float64Array.from(order, (column) => values[anchor * images + column]!) };
};

type Miner = (distances: Distances, labels: ArrayLike<number>, margin: number) => MinedLoss;

/** Batch hard (Hermans et al. 2017): each anchor with its farthest positive and its nearest negative. */
const batchHard: Miner = (distances, labels, margin) =>
  meanOfTriplets(distances, margin, (count) =>
    forEachAnchor(labels, (anchor, positives, negatives) =>
      count(
        anchor,
        extreme(distances, anchor, positives, 1),
        extreme(distances, anchor, negatives, -1),
      )));

/**
 * Semi-hard (FaceNet, Schroff et al. 2015, section 3.2): each pair of an anchor and a positive with the nearest negative
 * that is farther than the positive; where none is, with the farthest one, as TensorFlow Addons has it. Every pair
 * counts, also one whose negative lies beyond the margin: its loss is 0, and the mean over a batch's pairs falls as the
 * training goes on.
 */
const semiHard: Miner = (distances, labels, margin) =>
  meanOfTriplets(distances, margin, (count) =>
    forEachAnchor(labels, (anchor, positives, negatives) => {
      const { order, ascending } = sorted(distances, anchor, negatives);
      for (const positive of positives) {
        const nearer = countBelow(ascending, distances.values[anchor * distances.images + positive]!, true);
        count(anchor, positive, order[Math.min(nearer, order.length - 1)]!);
      }
    }));

/**
 * Batch all, "≠ 0" (Hermans et al. 2017, section 2): the mean over those triplets whose loss is positive. The share of
 * active ones and the distances are over all triplets.
 */
const all: Miner = (distances, labels, margin) => {
  const { values, images } = distances;
  const slopes = new Float32Array(values.length);
  let [triplets, active, loss, positiveSum, negativeSum] = [0, 0, 0, 0, 0];
  forEachAnchor(labels, (anchor, positives, negatives) => {
    const { order, ascending } = sorted(distances, anchor, negatives);
    const sums = new Float64Array(order.length + 1); // of the nearest 0, 1, 2 … negatives
    ascending.forEach((distance, i) => sums[i + 1] = sums[i]! + distance);
    const ends = new Float64Array(order.length + 1); // positives that are active with just as many negatives
    for (const positive of positives) {
      const distance = values[anchor * images + positive]!;
      const hits = countBelow(ascending, distance + margin, false);
      loss += hits * (distance + margin) - sums[hits]!;
      slopes[anchor * images + positive] = hits;
      ends[hits]!++;
      active += hits;
      positiveSum += distance * negatives.length;
    }
    let reaching = positives.length;
    order.forEach((negative, i) => {
      reaching -= ends[i]!;
      slopes[anchor * images + negative] = -reaching;
    });
    negativeSum += sums.at(-1)! * positives.length;
    triplets += positives.length * negatives.length;
  });
  const [share, perActive] = [1 / Math.max(triplets, 1), 1 / Math.max(active, 1)];
  return {
    loss: loss * perActive,
    active: active * share,
    positiveDistance: positiveSum * share,
    negativeDistance: negativeSum * share,
    triplets,
    slopes: slopes.map((slope) => slope * perActive),
  };
};

/** Anchors, positives and negatives are the images of the batch; `labels` are their sub-classes. */
export const miners: Readonly<Record<Mining, Miner>> = {
  "batch-hard": batchHard,
  "semi-hard": semiHard,
  all,
};
