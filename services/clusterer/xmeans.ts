import { effectiveDimension } from "./effective_dimension.ts";
import type { Criterion } from "./information_criterion.ts";
import { informationCriteria } from "./information_criterion.ts";
import type { KMeansResult, KMeansSettings, Solution } from "./kmeans.ts";
import { KMeansSearch } from "./kmeans.ts";
import type { Points } from "./points.ts";

export interface XMeansSettings extends KMeansSettings {
  /** Upper limit for the number of clusters: Algorithm 1's num-allowed-clusters. */
  readonly allowedClusters: number;
  /** A division with a smaller cluster is refused. */
  readonly minClusterSize?: number;
  readonly criterion?: Criterion;
  /** What counts as M in the criterion: the participation ratio of the class before any division, or the embedding's dimension. */
  readonly dimension?: "effective" | "nominal";
}

/** One number of clusters that was tried. */
export interface Candidate {
  readonly clusters: number;
  readonly sse: number;
  /** The criterion's value, larger is better. */
  readonly score: number;
  readonly smallest: number;
  /** Too small a cluster: out of the question whatever its score. */
  readonly refused: boolean;
}

export interface XMeansResult extends KMeansResult {
  /** M as used in the criterion. */
  readonly dimension: number;
  /** Every number of clusters tried, from 1 on. */
  readonly candidates: readonly Candidate[];
}

/**
 * X-Means (Pelleg & Moore 2000) in its plainest form: K-Means for each k = 1 … `allowedClusters`, and of those the one that the criterion
 * likes best, the smaller on a tie. A class with fewer than 2 × `minClusterSize` rows stays whole, and so does one whose
 * rows are all equal.
 */
export const xMeans = (points: Points, settings: XMeansSettings): XMeansResult => {
  const { allowedClusters, minClusterSize = 8, criterion = "bic", dimension = "effective" } = settings;
  const most = Math.max(1, Math.min(allowedClusters, Math.floor(points.rows / minClusterSize)));
  const m = dimension === "effective" && most > 1 ? effectiveDimension(points) : points.dimension;
  const search = new KMeansSearch(points, most);
  const candidates: Candidate[] = [];
  let chosen = search.solve(1, settings);
  let chosenScore = -Infinity;
  for (let k = 1, solution = chosen; k <= most; k++) {
    if (k > 1) solution = search.solve(k, settings, solution);
    if (solution.clusters < k) break; // there are no more different rows
    const { sizes, sse } = solution;
    const score = informationCriteria[criterion]({ sizes, sse, dimension: m });
    const smallest = sizes.reduce((least, size) => Math.min(least, size));
    const refused = k > 1 && smallest < minClusterSize;
    candidates.push({ clusters: k, sse, score, smallest, refused });
    if (!refused && score > chosenScore) {
      chosen = solution;
      chosenScore = score;
    }
    if (sse === 0) break;
  }
  return { ...search.resultOf(chosen), dimension: m, candidates };
};
