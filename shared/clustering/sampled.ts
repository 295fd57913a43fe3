import { Result } from "effect";
import { type Frame, frameOf } from "./frame.ts";
import {
  DEFAULT_MAX_ITERATIONS,
  type KMeansResult,
  KMeansSearch,
  type KMeansSettings,
  type Search,
} from "./kmeans.ts";
import { reserve } from "./memory.ts";
import { Points, selectRows } from "./points.ts";
import { Workspace } from "./workspace.ts";

/** Rows of the sample: a cluster's mean over its share of them is off by a hundredth of its spread or so. */
export const SAMPLE = 16_384;
/** Rows in the kernels' memory at a time; with 256 dimensions they stay in a core's second-level cache. */
const WINDOW = 512;
/** Lloyd's iterations end when one lessens the SSE by a smaller part. */
const TOLERANCE = 1e-5;

/**
 * K-Means on a class of any size, in little more memory than its rows take: effective dimension and clusters are looked
 * for in a random sample, and from the sample's centres Lloyd's algorithm goes on over all rows, which pass through the
 * kernels' memory a window at a time. Sizes, centres, distances and SSE are those of all rows. What is too rare for the
 * sample to hold is found only where some cluster ends at it.
 */
export class SampledSearch implements Search {
  readonly effectiveDimension: number;
  private readonly sample: KMeansSearch;
  private readonly window: Workspace;
  private readonly frame: Frame;

  constructor(
    private readonly points: Points,
    slots: number,
    private readonly settings: KMeansSettings,
  ) {
    const { values, rows, dimension } = points;
    this.frame = frameOf(points);

    const drawn = settings.random.shuffle(Uint32Array.from({ length: rows }, (_, row) => row));
    const sampled = selectRows(values, dimension, drawn.subarray(0, SAMPLE).sort());
    const windowAt = KMeansSearch.size(SAMPLE, dimension, slots);
    reserve(windowAt + Workspace.size(WINDOW, dimension, slots));
    this.sample = new KMeansSearch(Result.getOrThrow(Points.of(sampled, dimension)), slots, settings);
    this.effectiveDimension = this.sample.effectiveDimension;
    this.window = new Workspace({ rows: WINDOW, dimension }, slots, windowAt);
  }

  solve(k: number): KMeansResult {
    const { window, frame: { scale }, settings: { maxIterations = DEFAULT_MAX_ITERATIONS } } = this;
    const state = this.begin(this.sample.solve(k));
    let [iterations, converged, settled, before] = [0, false, false, Infinity];
    while (!converged && !settled && iterations < maxIterations) {
      iterations++;
      const { changed, sse } = this.reassign(state);
      converged = changed === 0;
      if (converged) break;
      state.sizes.forEach((size, slot) => size > 0 && window.moveCentre(slot, size));
      settled = before - sse <= TOLERANCE * sse;
      before = sse;
    }
    if (!converged) this.measure(state);
    let sse = 0;
    for (const squared of state.squares) sse += squared;
    return {
      ...this.withoutEmpty(state),
      sse: sse / scale ** 2,
      distances: state.squares.map((squared) => Math.sqrt(squared) / scale),
      iterations,
      converged: converged || settled,
    };
  }

  /** Takes a solution's centres over; no row belongs to one yet. */
  private begin({ clusters, centres }: KMeansResult): State {
    const { points: { rows, dimension }, window, frame: { scale, origin } } = this;
    for (let slot = 0; slot < clusters; slot++) {
      const centre = centres.subarray(slot * dimension, (slot + 1) * dimension);
      window.placeCentre(slot, centre.map((value, d) => value * scale - origin[d]!));
    }
    window.clearSums();
    return {
      clusters,
      assignments: new Int32Array(rows).fill(-1),
      sizes: new Int32Array(clusters),
      squares: new Float32Array(rows),
    };
  }

  /** Gives every row to its nearest centre; how many changed, and the SSE about the centres as they are. */
  private reassign({ clusters, assignments, sizes, squares }: State) {
    const { window } = this;
    const owner = new Int32Array(WINDOW);
    let [changed, sse] = [0, 0];
    for (const [first, count] of this.windows()) {
      const nearest = squares.subarray(first, first + count);
      window.nearestCentres(clusters, nearest, owner);
      for (let i = 0; i < count; i++) {
        sse += nearest[i]!;
        const [from, to] = [assignments[first + i]!, owner[i]!];
        if (from === to) continue;
        if (from >= 0) {
          window.accumulate(from, i, -1);
          sizes[from]!--;
        }
        window.accumulate(to, i, 1);
        sizes[to]!++;
        assignments[first + i] = to;
        changed++;
      }
    }
    return { changed, sse };
  }

  /** Squared distances of all rows to their own centres. */
  private measure({ assignments, squares }: State): void {
    for (const [first, count] of this.windows()) {
      for (let i = 0; i < count; i++) {
        squares[first + i] = this.window.distance(i, assignments[first + i]!);
      }
    }
  }

  /** Clusters that have lost all their rows to others disappear. */
  private withoutEmpty({ clusters, assignments, sizes }: State) {
    const { points: { dimension }, frame: { scale, origin } } = this;
    const kept = [...sizes.keys()].filter((slot) => sizes[slot]! > 0);
    const all = this.window.copyCentres(clusters).map((value, i) => (value + origin[i % dimension]!) / scale);
    const centres = new Float64Array(kept.length * dimension);
    kept.forEach((slot, i) =>
      centres.set(all.subarray(slot * dimension, (slot + 1) * dimension), i * dimension)
    );
    const number = Int32Array.from(sizes, (_, slot) => kept.indexOf(slot));
    return {
      clusters: kept.length,
      assignments: assignments.map((slot) => number[slot]!),
      sizes: sizes.filter((size) => size > 0),
      centres,
    };
  }

  /** Brings all rows into the window, one part after another; gives each part's first row and number of rows. */
  private *windows(): Generator<readonly [first: number, count: number]> {
    const { points: { values, rows, dimension }, window, frame } = this;
    for (let first = 0; first < rows; first += WINDOW) {
      const count = Math.min(WINDOW, rows - first);
      window.load(values.subarray(first * dimension, (first + count) * dimension), frame);
      yield [first, count];
    }
  }
}

interface State {
  readonly clusters: number;
  /** Cluster of every row, −1 for none yet. */
  readonly assignments: Int32Array;
  readonly sizes: Int32Array;
  /** Squared distance of every row to its own centre. */
  readonly squares: Float32Array;
}
