import type { Attempt } from "./lloyd.ts";
import type { Random } from "./random.ts";
import type { Workspace } from "./workspace.ts";

/**
 * k-means++ (Arthur & Vassilvitskii 2007), greedy as its authors advise in section 5: a new centre is a point drawn with a
 * chance in proportion to its squared distance to the nearest centre there is, the best of 2 + ⌊ln k⌋ draws. The first `kept`
 * centres of the workspace stay. Leaves every point with its nearest centre, and fewer than `k` centres when
 * there are fewer different points.
 */
export const seedCentres = (
  space: Workspace,
  attempt: Attempt,
  k: number,
  kept: number,
  random: Random,
): void => {
  const { rows } = space;
  const { nearest, best, assignments } = attempt;
  const draws = 2 + Math.floor(Math.log(k));
  attempt.clusters = 0;
  nearest.fill(Infinity);

  const accept = (distances: Float32Array) => {
    const slot = attempt.clusters++;
    for (let i = 0; i < rows; i++) {
      const distance = distances[i]!;
      attempt.lower[i * attempt.slots + slot] = Math.sqrt(distance);
      if (distance < nearest[i]!) {
        nearest[i] = distance;
        assignments[i] = slot;
      }
    }
  };

  for (let slot = 0; slot < kept; slot++) accept(space.distancesToCentre(slot));
  if (kept === 0) {
    const row = Math.floor(random() * rows);
    space.placeCentreAtRow(0, row);
    accept(space.distancesToRow(row));
  }
  while (attempt.clusters < k) {
    let total = 0;
    for (let i = 0; i < rows; i++) total += nearest[i]!;
    if (total === 0) break;
    let bestRow = 0;
    let bestRemaining = Infinity;
    for (let draw = 0; draw < draws; draw++) {
      const row = drawRow(nearest, rows, total * random());
      const distances = space.distancesToRow(row);
      let remaining = 0;
      for (let i = 0; i < rows; i++) remaining += Math.min(nearest[i]!, distances[i]!);
      if (remaining < bestRemaining) {
        bestRow = row;
        bestRemaining = remaining;
        best.set(distances);
      }
    }
    space.placeCentreAtRow(attempt.clusters, bestRow);
    accept(best);
  }
  for (let i = 0; i < rows; i++) attempt.upper[i] = Math.sqrt(nearest[i]!);
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
