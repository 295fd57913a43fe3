import type { Random } from "@subtaxa/random";
import type { Attempt } from "./lloyd.ts";
import type { Workspace } from "./workspace.ts";

/**
 * k-means++ (Arthur & Vassilvitskii 2007), greedy: the next centre is a point drawn with a chance in
 * proportion to its squared distance to the nearest centre so far, the best of 2 + ⌊ln k⌋ draws. Leaves every
 * point with its nearest centre, and fewer than `k` centres when there are fewer different points.
 */
export const seedCentres = (space: Workspace, attempt: Attempt, k: number, random: Random): void => {
  const { rows } = space;
  const { nearest, best, assignments } = attempt;
  const draws = 2 + Math.floor(Math.log(k));
  attempt.clusters = 0;
  nearest.fill(Infinity);

  const accept = (row: number, distances: Float32Array) => {
    const slot = attempt.clusters++;
    space.placeCentreAtRow(slot, row);
    for (let i = 0; i < rows; i++) {
      const distance = distances[i]!;
      if (distance < nearest[i]!) {
        nearest[i] = distance;
        assignments[i] = slot;
      }
    }
  };

  const first = Math.floor(random.next() * rows);
  accept(first, space.distancesToRow(first));
  let total = 0;
  for (let i = 0; i < rows; i++) total += nearest[i]!;
  while (attempt.clusters < k && total > 0) {
    let bestRow = 0;
    let bestRemaining = Infinity;
    for (let draw = 0; draw < draws; draw++) {
      const row = drawRow(nearest, rows, total * random.next());
      const distances = space.distancesToRow(row);
      let remaining = 0;
      for (let i = 0; i < rows; i++) remaining += Math.min(nearest[i]!, distances[i]!);
      if (remaining < bestRemaining) {
        bestRow = row;
        bestRemaining = remaining;
        best.set(distances);
      }
    }
    accept(bestRow, best);
    total = bestRemaining;
  }
};

/** The row at which the running sum of `weights` passes `mark`; never one of weight 0. */
const drawRow = (weights: Float32Array, rows: number, mark: number): number => {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < rows; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    sum += weight;
    last = i;
    if (sum > mark) return i;
  }
  return last;
};
