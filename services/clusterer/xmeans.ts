import { type KMeansResult, type KMeansSettings, type Points, searchFor } from "@subtaxa/clustering";
import { type Criterion, informationCriteria } from "./information_criterion.ts";

export interface XMeansSettings extends KMeansSettings {
  /** Upper limit for the number of clusters: Algorithm 1's num-allowed-clusters. */
  readonly allowedClusters: number;
  /** A division with a smaller cluster is refused. */
  readonly minClusterSize?: number;
  readonly criterion?: Criterion;
  /**
   * M in the criterion: the participation ratio (Σλ)² / Σλ² of the class before any division, or the embedding's
   * dimension.
   *
   * A guard against cutting up one Gaussian, not a proof: 2-means takes the share s = 2/π · λ₁/Σλ off its SSE, which BIC
   * rewards with M/2 · −ln(1 − s) a row for ln 2 and the penalty. That is too little where the variances fall exponentially
   * or not at all, and too much where one stands out of many. Of Gaussians in 256 dimensions, scaled to length 1, 300 and
   * 1,000 rows, were divided: exp(−d/3) … exp(−d/60) and equal variances 0 of 100; 1/d, 1/d^1.5, 1/d² and a single
   * variance of 30 above 255 of 1 79 of 80; 1/√d none of 300 rows, all of 1,000. With the spectra of 14 real classes 5 of 70
   * (of these classes themselves 11), with the nominal dimension all.
   *
   * M = Σλ/λ₁ (the intrinsic dimension, Tropp 2015) would keep any Gaussian whole, as M/2 · −ln(1 − 2/(πM)) ≤ 0.51 < ln 2.
   * It keeps everything else whole too: all 14 real classes, and of 60 sets of 2 to 6 blobs 12 standard deviations apart
   * all but 22, where the participation ratio finds all 60.
   */
  readonly dimension?: "effective" | "nominal";
  /** Called before each number of clusters is tried; what it throws ends the search. */
  readonly onCandidate?: () => void;
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
 * X-Means (Pelleg & Moore 2000) in its plainest form: K-Means for each k = 1 … `allowedClusters`, and of
 * those the one that the criterion likes best, the smaller on a tie. A class with fewer than 2 ×
 * `minClusterSize` rows stays whole, and so does one whose rows are all equal. No rows at all: one cluster
 * without a row. A class of more than 32,768 rows is searched through a sample (`searchFor`); its scores are those of all
 * rows but for M, which is the sample's.
 */
export const xMeans = (points: Points, settings: XMeansSettings): XMeansResult => {
  const { allowedClusters, minClusterSize = 8, criterion = "bic", dimension = "effective" } = settings;
  const { onCandidate = () => undefined } = settings;
  const most = Math.max(1, Math.min(allowedClusters, Math.floor(points.rows / minClusterSize)));
  const search = searchFor(points, most, settings);
  const m = dimension === "effective" ? search.effectiveDimension : points.dimension;
  const candidates: Candidate[] = [];
  let chosen = search.solve(1);
  let chosenScore = -Infinity;
  for (let k = 1; k <= most; k++) {
    onCandidate();
    const solution = k === 1 ? chosen : search.solve(k);
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
  return { ...chosen, dimension: m, candidates };
};
