import { Result } from "effect";
import type { ClusteringError } from "./errors.ts";
import { matchClusters, type Matching } from "./matching.ts";
import { normaliseRows } from "./normalise.ts";
import { Points } from "./points.ts";
import { type Candidate, xMeans, type XMeansSettings } from "./xmeans.ts";

export interface RelabelSettings extends XMeansSettings {
  /** What is done to the embeddings first. */
  readonly normalisation: "l2" | "none";
}

/** New pseudo-labels of one class's training images. */
export interface Relabelling extends Matching {
  /**
   * Euclidean distance of every embedding, normalised or not, to its cluster's centre; 0 in a class that is
   * whole.
   */
  readonly distances: Float32Array;
  /** M of the criterion, and every number of clusters that was tried. */
  readonly dimension: number;
  readonly candidates: readonly Candidate[];
}

/**
 * Algorithm 1, "Generate the clusters and pseudo-labels using X-Means", for one class: normalise, divide, and
 * give the clusters the names they had.
 *
 * @param embeddings of the class's training images, row-major
 * @param previous id of every image's sub-class before, in the same order
 * @param highestId as for `matchClusters`
 */
export const relabelClass = (
  embeddings: Float32Array,
  dimension: number,
  previous: ArrayLike<number>,
  { normalisation, ...settings }: RelabelSettings,
  highestId?: number,
): Result.Result<Relabelling, ClusteringError> => {
  const values = normalisation === "l2" ? normaliseRows(embeddings, dimension) : embeddings;
  return Result.map(Points.of(values, dimension), (points) => {
    const { clusters, assignments, distances, dimension, candidates } = xMeans(points, settings);
    return {
      ...matchClusters(previous, assignments, highestId),
      distances: clusters === 1 ? distances.fill(0) : distances,
      dimension,
      candidates,
    };
  });
};
