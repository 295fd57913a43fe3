import { expect } from "expect";
import fc from "fast-check";
import { matchClusters } from "./matching.ts";

/** Most images that can keep their id under any one-to-one matching: tries them all. */
const mostKept = (shared: number[][], row = 0, taken = new Set<number>()): number => {
  if (row === shared.length) return 0;
  let most = mostKept(shared, row + 1, taken);
  shared[row]!.forEach((count, column) => {
    if (!taken.has(column)) {
      most = Math.max(most, count + mostKept(shared, row + 1, new Set([...taken, column])));
    }
  });
  return most;
};

/** Images with the sub-class they had and the cluster they are in; numbers without gaps, ids with some. */
const images = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })).chain((
  [olds, news],
) => fc.array(fc.tuple(fc.nat(olds - 1), fc.nat(news - 1)), { minLength: 1, maxLength: 60 })).map((pairs) => {
  const numbers = [...new Set(pairs.map(([, cluster]) => cluster))];
  return {
    previous: pairs.map(([id]) => 3 * id + 1),
    assignments: pairs.map(([, cluster]) => numbers.indexOf(cluster)),
  };
});

Deno.test("as many images keep their id as under the best of all matchings", () => {
  fc.assert(
    fc.property(images, ({ previous, assignments }) => {
      const oldIds = [...new Set(previous)];
      const shared = Array.from(
        { length: Math.max(...assignments) + 1 },
        (_, cluster) =>
          oldIds.map((id) => previous.filter((old, i) => old === id && assignments[i] === cluster).length),
      );
      const { ids } = matchClusters(previous, assignments);
      expect(previous.filter((id, i) => ids[i] === id).length).toBe(mostKept(shared));
    }),
    { numRuns: 500 },
  );
});

Deno.test("ids are distinct, new ones never used before, each from its main origin", () => {
  fc.assert(fc.property(images, fc.nat(40), ({ previous, assignments }, highestId) => {
    const { clusters, ids, highestId: highest } = matchClusters(previous, assignments, highestId);
    const used = Math.max(highestId, ...previous);
    expect(new Set(clusters.map(({ id }) => id)).size).toBe(clusters.length);
    expect(Array.from(ids)).toEqual(assignments.map((cluster) => clusters[cluster]!.id));
    const fresh = clusters.filter(({ id, from }) => id !== from);
    expect(fresh.map(({ id }) => id)).toEqual(fresh.map((_, i) => used + 1 + i));
    expect(highest).toBe(used + fresh.length);
    clusters.forEach(({ id, from, images }, cluster) => {
      const origins = previous.filter((_, i) => assignments[i] === cluster);
      expect(images).toBe(origins.length);
      const count = (old: number) => origins.filter((origin) => origin === old).length;
      expect(count(from)).toBeGreaterThan(0);
      if (id !== from) { for (const old of previous) expect(count(from)).toBeGreaterThanOrEqual(count(old)); }
    });
  }));
});

Deno.test("other numbers for the same clusters change nothing", () => {
  const { clusters, ids, agreement } = matchClusters([4, 4, 7, 7, 7, 0], [1, 1, 0, 0, 0, 2]);
  expect(clusters).toEqual([
    { id: 7, from: 7, images: 3 },
    { id: 4, from: 4, images: 2 },
    { id: 0, from: 0, images: 1 },
  ]);
  expect(Array.from(ids)).toEqual([4, 4, 7, 7, 7, 0]);
  expect(agreement).toBeCloseTo(1, 12);
});

Deno.test("split: the larger part keeps the id, the other starts from it", () => {
  const { clusters, agreement } = matchClusters([0, 0, 0, 0, 0], [0, 0, 1, 1, 1]);
  expect(clusters).toEqual([{ id: 1, from: 0, images: 2 }, { id: 0, from: 0, images: 3 }]);
  expect(agreement).toBe(0);
});

Deno.test("merge: the larger part's id stays, the other's is gone and not used again", () => {
  const merged = matchClusters([0, 0, 0, 1, 1], [0, 0, 0, 0, 0], 1);
  expect(merged).toMatchObject({ clusters: [{ id: 0, from: 0, images: 5 }], highestId: 1 });
  const again = matchClusters(merged.ids, [0, 0, 0, 1, 1], merged.highestId);
  expect(again.clusters.map(({ id }) => id)).toEqual([0, 2]);
});

Deno.test("a cluster that shares no image with the sub-class left over for it is new", () => {
  // Of 0's images most are in cluster 0, so cluster 1 is left with 5, whose only image is in cluster 0 as well.
  expect(matchClusters([0, 0, 0, 0, 5, 0, 0], [0, 0, 0, 0, 0, 1, 1]).clusters).toEqual([
    { id: 0, from: 0, images: 5 },
    { id: 6, from: 0, images: 2 },
  ]);
});

Deno.test("a class without images has no clusters", () => {
  expect(matchClusters([], [], 3)).toMatchObject({ clusters: [], highestId: 3, agreement: 1 });
});
