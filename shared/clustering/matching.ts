import { normalisedMutualInformation } from "@subtaxa/metrics";
import { linearSumAssignment } from "linear-sum-assignment";

/** One cluster with an identity that lasts from epoch to epoch. */
export interface MatchedCluster {
  readonly id: number;
  /** The sub-class whose row of the head it starts from: `id` itself when kept, its main origin when new. */
  readonly from: number;
  readonly images: number;
}

export interface Matching {
  /** Index = number of the cluster. */
  readonly clusters: readonly MatchedCluster[];
  /** Id of every image's cluster. */
  readonly ids: Int32Array;
  /** Highest id that the class has ever used, this time included. */
  readonly highestId: number;
  /** Normalised mutual information of the two assignments: 1 when no image moved. */
  readonly agreement: number;
}

/**
 * Gives the clusters of a class the ids of the previous epoch's: the one-to-one assignment under which the
 * most images keep their id (Hungarian algorithm). A cluster left over, or matched to a sub-class with which
 * it shares no image, is new: it gets the next id never used before and starts from the sub-class with which
 * it shares the most images. A sub-class left over is gone.
 *
 * @param previous id of every image's sub-class before
 * @param assignments number of every image's cluster now, 0 … k − 1 without gaps; the same images in the same
 * order
 * @param highestId highest id that the class has ever used; by default the highest of `previous`
 */
export const matchClusters = (
  previous: ArrayLike<number>,
  assignments: ArrayLike<number>,
  highestId?: number,
): Matching => {
  const oldIds = [...new Set(Array.from(previous))].sort((a, b) => a - b);
  const column = new Map(oldIds.map((id, index) => [id, index]));
  const shared: number[][] = [];
  for (let i = 0; i < assignments.length; i++) {
    for (let k = shared.length; k <= assignments[i]!; k++) shared.push(oldIds.map(() => 0));
    shared[assignments[i]!]![column.get(previous[i]!)!]!++;
  }

  let highest = Math.max(highestId ?? 0, ...oldIds);
  const matched = shared.length === 0 ? [] : linearSumAssignment(shared, { maximaze: true }).rowAssignments;
  const clusters = shared.map((counts, cluster) => {
    const images = counts.reduce((sum, count) => sum + count, 0);
    const match = matched[cluster]!;
    if (match >= 0 && counts[match]! > 0) {
      const id = oldIds[match]!;
      return { id, from: id, images };
    }
    return { id: ++highest, from: oldIds[counts.indexOf(Math.max(...counts))]!, images };
  });
  return {
    clusters,
    ids: Int32Array.from(assignments, (cluster) => clusters[cluster]!.id),
    highestId: highest,
    agreement: normalisedMutualInformation(previous, assignments),
  };
};
