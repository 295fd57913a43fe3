import { Attempt, lloyd } from "./lloyd.ts";
import type { Points } from "./points.ts";
import type { Random } from "./random.ts";
import { seedCentres } from "./seeding.ts";
import { Workspace } from "./workspace.ts";

export interface KMeansSettings {
  readonly random: Random;
  /** Attempts from fresh seeds, of which the one with the least SSE is kept. */
  readonly restarts?: number;
  /** Limit of Lloyd's iterations in one attempt. */
  readonly maxIterations?: number;
}

const DEFAULT_RESTARTS = 3;
const DEFAULT_MAX_ITERATIONS = 100;
/** Lloyd's iterations after which attempts are compared. */
const EXPLORATION = 5;

export interface KMeansResult {
  /** As many as were asked for, or fewer: one per different point at most. None of them is empty. */
  readonly clusters: number;
  /** Cluster of every row, 0 … clusters − 1. */
  readonly assignments: Int32Array;
  readonly sizes: Int32Array;
  /** Means of the clusters, clusters × dimension, row-major. */
  readonly centres: Float64Array;
  /** Sum of squared Euclidean distances to the own centre; relative error some 1e-7. */
  readonly sse: number;
  /** Euclidean distance of every row to its centre. */
  readonly distances: Float32Array;
  /** Lloyd's iterations of the attempt that was kept. */
  readonly iterations: number;
  /** Whether no point would change its cluster any more; false: `maxIterations` was reached. */
  readonly converged: boolean;
}

/** K-Means: greedy k-means++ seeds, Lloyd's iterations, the best of several restarts. Same random stream, same result. */
export const kMeans = (points: Points, k: number, settings: KMeansSettings): KMeansResult => {
  const search = new KMeansSearch(points, k);
  return search.resultOf(search.solve(k, settings));
};

/** A result whose centres are still in the workspace's frame, to be put back there for the next k. */
export interface Solution extends Omit<KMeansResult, "centres"> {
  readonly savedCentres: Float32Array;
}

/** K-Means on one class for one k after another. Valid until the next one is made (see `Workspace`). */
export class KMeansSearch {
  private readonly space: Workspace;
  private readonly attempt: Attempt;

  /** `slots`: the largest k. */
  constructor(points: Points, slots: number) {
    this.space = new Workspace(points, slots);
    this.attempt = new Attempt(points.rows, slots);
  }

  /**
   * Most of what Lloyd's algorithm gains it gains at once, so the attempts stop after a few iterations and only the
   * best goes on to the end. With `from`, one attempt starts from the centres of that solution and seeds only those that are missing.
   */
  solve(k: number, settings: KMeansSettings, from?: Solution): Solution {
    const { random, restarts = DEFAULT_RESTARTS, maxIterations = DEFAULT_MAX_ITERATIONS } = settings;
    let best = this.try(k, random, EXPLORATION, from);
    for (let restart = 1; restart < restarts && k > 1; restart++) {
      const solution = this.try(k, random, EXPLORATION);
      if (solution.sse < best.sse) best = solution;
    }
    if (best.converged) return best;
    const last = this.try(k, random, maxIterations, best);
    return { ...last, iterations: best.iterations + last.iterations };
  }

  resultOf({ savedCentres, ...solution }: Solution): KMeansResult {
    return { ...solution, centres: this.space.centresOf(savedCentres) };
  }

  private try(k: number, random: Random, maxIterations: number, from?: Solution): Solution {
    const { space, attempt } = this;
    const { scale } = space.frame;
    if (from) space.restoreCentres(from.savedCentres);
    seedCentres(space, attempt, k, from?.clusters ?? 0, random);
    const { iterations, converged } = lloyd(space, attempt, maxIterations);

    const assignments = attempt.assignments.slice();
    const distances = new Float32Array(space.rows);
    let sse = 0;
    for (let i = 0; i < space.rows; i++) {
      const distance = space.distance(i, assignments[i]!);
      distances[i] = Math.sqrt(distance) / scale;
      sse += distance;
    }
    sse /= scale ** 2;
    const { clusters } = attempt;
    const sizes = attempt.counts.slice(0, clusters);
    const savedCentres = space.saveCentres(clusters);
    return { clusters, assignments, sizes, sse, distances, iterations, converged, savedCentres };
  }
}
