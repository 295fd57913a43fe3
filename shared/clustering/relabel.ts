import type { Random } from "@subtaxa/random";
import { Result } from "effect";
import type { ClusteringError } from "./errors.ts";
import type { KMeansResult } from "./kmeans.ts";
import { matchClusters, type Matching } from "./matching.ts";
import { normaliseRows } from "./normalise.ts";
import { Points } from "./points.ts";

/** Clusters of the rows of one class: their number, each row's, and each row's distance to its cluster's centre. */
export type Division = Pick<KMeansResult, "clusters" | "assignments" | "distances">;

/**
 * A way of dividing a class into `most` clusters at most, none of them empty unless there is no row. The same points and
 * random stream give the same division. This is all in which one clusterer differs from another.
 */
export type Divide = (points: Points, most: number, random: Random) => Division;

export interface RelabelSettings {
  readonly allowedClusters: number;
  readonly random: Random;
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
}

/**
 * Algorithm 1, "Generate the clusters and pseudo-labels", for one class: normalise, divide, and give the clusters the
 * names they had.
 *
 * @param embeddings of the class's training images, row-major; normalised in place
 * @param previous id of every image's sub-class before, in the same order
 * @param highestId as for `matchClusters`
 */
export const relabelClass = (
  embeddings: Float32Array,
  dimension: number,
  previous: ArrayLike<number>,
  divide: Divide,
  { allowedClusters, normalisation, random }: RelabelSettings,
  highestId?: number,
): Result.Result<Relabelling, ClusteringError> => {
  if (normalisation === "l2") normaliseRows(embeddings, dimension);
  return Result.map(Points.of(embeddings, dimension), (points) => {
    const { clusters, assignments, distances } = divide(points, allowedClusters, random);
    return {
      ...matchClusters(previous, assignments, highestId),
      distances: clusters === 1 ? distances.fill(0) : distances,
    };
  });
};
