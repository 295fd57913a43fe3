import type { Workspace } from "./workspace.ts";

/** One attempt's state, whose buffers serve all attempts at one class. Bounds are Euclidean, not squared. */
export class Attempt {
  clusters = 0;
  readonly assignments: Int32Array;
  readonly counts: Int32Array;
  /** Upper bound of each point's distance to its own centre. */
  readonly upper: Float64Array;
  /** Lower bound of each point's distance to every centre, rows × slots. */
  readonly lower: Float64Array;
  /** How far each centre went in the last step. */
  readonly drift: Float64Array;
  /** Scratch of the search's beginning: squared distances to the nearest centre, and which it is. */
  readonly nearest: Float32Array;
  readonly owner: Int32Array;
  /** Scratch of the seeding: squared distances to the best draw. */
  readonly best: Float32Array;

  constructor(rows: number, readonly slots: number) {
    const padded = Math.ceil(rows / 4) * 4;
    this.assignments = new Int32Array(rows);
    this.counts = new Int32Array(slots);
    this.upper = new Float64Array(rows);
    this.lower = new Float64Array(rows * slots);
    this.drift = new Float64Array(slots);
    this.nearest = new Float32Array(rows);
    this.owner = new Int32Array(rows);
    this.best = new Float32Array(padded);
  }

  /** Starts from an assignment of which nothing else is known. */
  begin(clusters: number, assignments: Int32Array): void {
    this.clusters = clusters;
    this.assignments.set(assignments);
    this.upper.fill(Infinity);
    this.lower.fill(0);
  }
}

/**
 * Lloyd's algorithm from the attempt's assignment until no point changes its cluster. Distances that the
 * triangle inequality makes needless are skipped, with one lower bound per point and centre ("simplified
 * Elkan", Newling & Fleuret 2016). The result is Lloyd's, and the centres are the means of their points.
 */
export const lloyd = (space: Workspace, attempt: Attempt, maxIterations: number) => {
  addUp(space, attempt);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    moveCentres(space, attempt);
    if (reassign(space, attempt) + fillEmpty(space, attempt) === 0) {
      return { iterations: iteration, converged: true };
    }
  }
  moveCentres(space, attempt);
  return { iterations: maxIterations, converged: false };
};

/**
 * The same without bounds: in few dimensions, all distances at once take less time than to find out which ones are
 * needless. Gives the SSE about the centres that the points were last given to.
 */
export const plainLloyd = (space: Workspace, attempt: Attempt, maxIterations: number): number => {
  const { clusters, assignments, nearest, owner } = attempt;
  addUp(space, attempt);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    moveCentres(space, attempt);
    space.nearestCentres(clusters, nearest, owner);
    let changed = 0;
    for (let i = 0; i < space.rows; i++) {
      if (owner[i] === assignments[i]) continue;
      move(space, attempt, i, owner[i]!);
      changed++;
    }
    if (changed + fillEmpty(space, attempt) === 0) break;
  }
  let sse = 0;
  for (let i = 0; i < space.rows; i++) sse += nearest[i]!;
  return sse;
};

/** Counts and sums of the assignment as it is. */
const addUp = (space: Workspace, { assignments, counts }: Attempt) => {
  counts.fill(0);
  space.clearSums();
  for (let i = 0; i < space.rows; i++) {
    counts[assignments[i]!]!++;
    space.accumulate(assignments[i]!, i, 1);
  }
};

const moveCentres = (space: Workspace, { clusters, counts, drift }: Attempt) => {
  for (let j = 0; j < clusters; j++) drift[j] = counts[j] === 0 ? 0 : space.moveCentre(j, counts[j]!);
};

const move = (space: Workspace, { assignments, counts }: Attempt, row: number, to: number) => {
  const from = assignments[row]!;
  space.accumulate(from, row, -1);
  space.accumulate(to, row, 1);
  counts[from]!--;
  counts[to]!++;
  assignments[row] = to;
};

/** Gives every point to its nearest centre; returns how many changed. */
const reassign = (space: Workspace, attempt: Attempt): number => {
  const { clusters, slots, assignments, upper, lower, drift } = attempt;
  let changed = 0;
  for (let i = 0; i < space.rows; i++) {
    const own = assignments[i]!;
    const at = i * slots;
    let nearest = own;
    let bound = upper[i]! + drift[own]!;
    let ownDistance = -1;
    for (let j = 0; j < clusters; j++) {
      const low = lower[at + j]! - drift[j]!;
      lower[at + j] = low;
      if (j === own || low >= bound) continue;
      if (ownDistance < 0) {
        ownDistance = bound = Math.sqrt(space.distance(i, own));
        if (low >= bound) continue;
      }
      const distance = Math.sqrt(space.distance(i, j));
      lower[at + j] = distance;
      if (distance < bound) {
        bound = distance;
        nearest = j;
      }
    }
    if (ownDistance >= 0) lower[at + own] = ownDistance;
    upper[i] = bound;
    if (nearest !== own) {
      move(space, attempt, i, nearest);
      changed++;
    }
  }
  return changed;
};

/** Gives each empty cluster the point that lies farthest from its own centre; returns how many got one. */
const fillEmpty = (space: Workspace, attempt: Attempt): number => {
  const { clusters, assignments, counts, upper } = attempt;
  let filled = 0;
  for (let j = 0; j < clusters; j++) {
    if (counts[j] !== 0) continue;
    let farthest = 0;
    let reach = -1;
    for (let i = 0; i < space.rows; i++) {
      if (counts[assignments[i]!]! < 2) continue;
      const distance = space.distance(i, assignments[i]!);
      if (distance > reach) {
        reach = distance;
        farthest = i;
      }
    }
    move(space, attempt, farthest, j);
    upper[farthest] = Math.sqrt(space.distance(farthest, j));
    filled++;
  }
  return filled;
};
