import type { Random } from "@subtaxa/random";
import { type Frame, frameOf } from "./frame.ts";
import { Attempt, lloyd, plainLloyd } from "./lloyd.ts";
import { reserve } from "./memory.ts";
import type { Points } from "./points.ts";
import { effectiveDimension, principalAxes, type Scatter, scatterSize } from "./scatter.ts";
import { seedCentres } from "./seeding.ts";
import { strideOf, Workspace } from "./workspace.ts";

export interface KMeansSettings {
  readonly random: Random;
  /** Attempts from fresh seeds, of which the one with the least SSE is kept. */
  readonly restarts?: number;
  /** Limit of Lloyd's iterations in one attempt. */
  readonly maxIterations?: number;
}

export interface KMeansResult {
  /**
   * As many as were asked for, or fewer where there are fewer different points. None is empty, unless there
   * is no point.
   */
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
  /** Whether no point would change its cluster any more, or in a large class hardly any; false: `maxIterations` was reached. */
  readonly converged: boolean;
}

export const DEFAULT_RESTARTS = 4;
export const DEFAULT_MAX_ITERATIONS = 30;
/** Principal axes along which the search begins: what the kernels take in one step. */
const AXES = 16;
/** Limit of Lloyd's iterations along them; what is missing then hardly changes which attempt is the best. */
const EXPLORATION = 10;

/** Rows that the axes are taken from: they need no precision, and the scatter of all rows takes as long as the rest. */
const AXES_ROWS = 1024;

/** K-Means on one class for one k after another. */
export interface Search {
  /** To be asked for before anything is solved. */
  readonly effectiveDimension: number;
  solve(k: number): KMeansResult;
}

/**
 * K-Means on one class. In many dimensions a single point is a poor guess at a
 * centre: its own noise keeps it far from all others, and Lloyd's algorithm ends in a poor optimum. So the
 * search begins along the principal axes, which hold the differences between the best k centres and little of
 * the noise (Ding & He 2004): greedy k-means++ seeds and Lloyd's iterations, several times over. The best
 * attempt is where Lloyd's algorithm on the points themselves starts. Valid until the kernels' memory is laid
 * out anew.
 */
export class KMeansSearch implements Search {
  private readonly frame: Frame;
  private readonly full: Workspace;
  private readonly attempt: Attempt;
  /** Of all rows, where somebody asked for the effective dimension. */
  private scatter?: Scatter;
  private reducedSpace?: Workspace;

  private static layout(rows: number, dimension: number, slots: number) {
    const axes = Math.max(AXES, slots);
    const reducedAt = Workspace.size(rows, dimension, slots);
    const scatterAt = reducedAt + Workspace.size(rows, axes, slots);
    return { axes, reducedAt, scatterAt, end: scatterAt + scatterSize(strideOf(dimension)) };
  }

  /** Bytes from the beginning of the kernels' memory that a search takes. */
  static size(rows: number, dimension: number, slots: number): number {
    return KMeansSearch.layout(rows, dimension, slots).end;
  }

  /** `slots`: the largest k. */
  constructor(
    points: Points,
    private readonly slots: number,
    private readonly settings: KMeansSettings,
  ) {
    reserve(KMeansSearch.size(points.rows, points.dimension, slots));
    this.frame = frameOf(points);
    this.full = new Workspace(points, slots);
    this.full.load(points.values, this.frame);
    this.attempt = new Attempt(points.rows, slots);
  }

  get effectiveDimension(): number {
    const { rows, dimension } = this.full;
    this.scatter ??= this.full.scatter(KMeansSearch.layout(rows, dimension, this.slots).scatterAt, rows);
    return effectiveDimension(this.scatter);
  }

  /** The points along the principal axes. */
  private get reduced(): Workspace {
    if (this.reducedSpace) return this.reducedSpace;
    const { full, slots, settings: { random } } = this;
    const { rows, dimension } = full;
    const { axes, reducedAt, scatterAt } = KMeansSearch.layout(rows, dimension, slots);
    const scatter = this.scatter ?? full.scatter(scatterAt, AXES_ROWS);
    const projected = full.project(principalAxes(scatter, axes, random));
    const reduced = new Workspace({ rows, dimension: axes }, slots, reducedAt);
    reduced.load(projected);
    return this.reducedSpace = reduced;
  }

  solve(k: number): KMeansResult {
    const { full, attempt, settings: { maxIterations = DEFAULT_MAX_ITERATIONS } } = this;
    const { origin, scale } = this.frame;
    const start = this.explore(k);
    attempt.begin(start.clusters, start.assignments);
    const { iterations, converged } = lloyd(full, attempt, maxIterations);

    const distances = new Float32Array(full.rows);
    let sse = 0;
    for (let i = 0; i < full.rows; i++) {
      const distance = full.distance(i, attempt.assignments[i]!);
      distances[i] = Math.sqrt(distance) / scale;
      sse += distance;
    }
    const { clusters } = attempt;
    return {
      clusters,
      assignments: attempt.assignments.slice(),
      sizes: attempt.counts.slice(0, clusters),
      centres: full.copyCentres(clusters).map((value, i) => (value + origin[i % full.dimension]!) / scale),
      sse: sse / scale ** 2,
      distances,
      iterations,
      converged,
    };
  }

  private explore(k: number) {
    if (k === 1) return { clusters: 1, assignments: new Int32Array(this.full.rows) };
    const { reduced, attempt, settings: { random, restarts = DEFAULT_RESTARTS } } = this;
    let best = { clusters: 0, assignments: attempt.assignments, sse: Infinity };
    for (let restart = 0; restart < restarts; restart++) {
      seedCentres(reduced, attempt, k, random);
      const sse = plainLloyd(reduced, attempt, EXPLORATION);
      if (sse < best.sse) {
        best = { clusters: attempt.clusters, assignments: attempt.assignments.slice(), sse };
      }
    }
    return best;
  }
}
