import { adjustedRandIndex } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { expect } from "expect";
import fc from "fast-check";
import fixture from "./clustering.fixture.json" with { type: "json" };
import { frameOf } from "./frame.ts";
import { KMeansSearch } from "./kmeans.ts";
import { Attempt, lloyd as runLloyd } from "./lloyd.ts";
import type { Points } from "./points.ts";
import { kMeans } from "./search.ts";
import { gaussian, meansOf, plantBlobs, pointsOf, squaredDistance } from "./testing.ts";
import { Workspace } from "./workspace.ts";

for (const { name, values, dimension, planted, lloyd, partitions, effectiveDimension } of fixture.cases) {
  const points = pointsOf(values, dimension);

  Deno.test(`the best of a few restarts is nearly scikit-learn's best of 300: ${name}`, () => {
    for (const { clusters, sse, labels } of partitions) {
      const found = kMeans(points, clusters, { random: random(clusters), restarts: 20, maxIterations: 200 });
      expect(found.sse / sse).toBeGreaterThan(1 - 1e-6);
      expect(found.sse / sse).toBeLessThan(1.03);
      if (clusters === planted) expect(adjustedRandIndex(found.assignments, labels)).toBe(1);
    }
  });

  Deno.test(`Lloyd's iterations end where scikit-learn's do: ${name}`, () => {
    for (const { clusters, sse, labels } of lloyd) {
      const space = new Workspace(points, clusters);
      space.load(points.values, frameOf(points));
      const attempt = new Attempt(points.rows, clusters);
      attempt.begin(clusters, Int32Array.from({ length: points.rows }, (_, i) => i % clusters));
      expect(runLloyd(space, attempt, 1000).converged).toBe(true);
      expect(Array.from(attempt.assignments)).toEqual(labels);
      const centres = meansOf(points, attempt.assignments, clusters);
      let found = 0;
      for (let i = 0; i < points.rows; i++) {
        found += squaredDistance(points.values, i, centres, attempt.assignments[i]!, dimension);
      }
      expect(found / sse).toBeCloseTo(1, 6);
    }
  });

  Deno.test(`the participation ratio is that of NumPy's eigenvalues: ${name}`, () => {
    const search = new KMeansSearch(points, 1, { random: random(0) });
    expect(search.effectiveDimension / effectiveDimension).toBeCloseTo(1, 4);
  });
}

/** What any solution must hold to, computed plainly. */
const checkSolution = (points: Points, k: number, seed: number) => {
  const { rows, dimension, values } = points;
  const result = kMeans(points, k, { random: random(seed), maxIterations: 1000 });
  const { clusters, assignments, sizes, centres, distances, sse, converged } = result;
  const reach = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(converged).toBe(true);
  expect(clusters).toBeLessThanOrEqual(k);
  const counts = new Array(clusters).fill(0);
  for (const cluster of assignments) counts[cluster]++;
  expect(Array.from(sizes)).toEqual(counts);
  expect(Math.min(...counts)).toBeGreaterThan(0);
  const means = meansOf(points, assignments, clusters);
  expect(Math.max(...means.map((mean, i) => Math.abs(centres[i]! - mean)))).toBeLessThanOrEqual(1e-6 * reach);
  let plainSse = 0;
  let [distanceError, excess] = [0, -Infinity];
  for (let i = 0; i < rows; i++) {
    const own = squaredDistance(values, i, centres, assignments[i]!, dimension);
    plainSse += own;
    distanceError = Math.max(distanceError, Math.abs(distances[i]! - Math.sqrt(own)));
    for (let j = 0; j < clusters; j++) {
      const other = squaredDistance(values, i, centres, j, dimension);
      excess = Math.max(excess, Math.sqrt(own) - Math.sqrt(other));
    }
  }
  const tolerance = 2e-6 * reach * Math.sqrt(dimension);
  expect(distanceError).toBeLessThanOrEqual(tolerance);
  expect(excess).toBeLessThanOrEqual(tolerance);
  expect(Math.abs(sse - plainSse)).toBeLessThanOrEqual(1e-5 * plainSse + 1e-10 * reach ** 2);
  return result;
};

Deno.test("centres are means, every point is with its nearest, the SSE is theirs", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }).chain((dimension) =>
        fc.record({
          dimension: fc.constant(dimension),
          // Whole numbers: many equal rows and ties.
          rows: fc.array(
            fc.array(fc.integer({ min: -4, max: 4 }), { minLength: dimension, maxLength: dimension }),
            {
              minLength: 1,
              maxLength: 40,
            },
          ),
        })
      ),
      fc.integer({ min: 1, max: 7 }),
      fc.nat(),
      ({ dimension, rows }, k, seed) => {
        const { clusters } = checkSolution(pointsOf(rows.flat(), dimension), k, seed);
        expect(clusters).toBe(Math.min(k, new Set(rows.map(String)).size));
      },
    ),
    { numRuns: 200 },
  );
  for (const [dimension, k] of [[16, 3], [17, 5], [64, 4], [250, 6]] as const) {
    checkSolution(plantBlobs(k, [40, 9, 70, 25], dimension, 3).points, k, 1);
    checkSolution(gaussian(k, 150, Array.from({ length: dimension }, (_, d) => Math.exp(-d / 4))), k, 2);
  }
});

Deno.test("more clusters than kernels' columns, and more than rows", () => {
  const { points } = plantBlobs(5, [200], 24, 0);
  expect(kMeans(points, 20, { random: random(1) }).clusters).toBe(20);
  expect(kMeans(pointsOf([1, 2, 5, 9], 1), 7, { random: random(1) }).clusters).toBe(4);
});

Deno.test("the same stream gives the same result, bit by bit", () => {
  const { points } = plantBlobs(1, [50, 60, 70], 32, 2);
  const run = () => kMeans(points, 4, { random: random(9) });
  const first = run();
  kMeans(plantBlobs(2, [500], 64, 0).points, 3, { random: random(1) });
  expect(run()).toEqual(first);
});

Deno.test("neither offset nor size of the coordinates changes the clusters", () => {
  const { points, labels } = plantBlobs(3, [30, 30, 30], 8, 12);
  for (const [factor, offset] of [[1e-30, 0], [1e30, 0], [1, 1e4], [1e-3, 10]] as const) {
    const moved = pointsOf(points.values.map((value) => value * factor + offset), 8);
    const { assignments, sse } = kMeans(moved, 3, { random: random(1) });
    expect(adjustedRandIndex(assignments, labels)).toBe(1);
    if (offset === 0) {
      expect(sse / factor ** 2 / kMeans(points, 3, { random: random(1) }).sse).toBeCloseTo(1, 5);
    }
  }
});

Deno.test("equal rows are one cluster without spread", () => {
  const { clusters, sse, centres } = kMeans(pointsOf(new Array(300).fill(0.1), 3), 4, { random: random(1) });
  expect({ clusters, sse }).toEqual({ clusters: 1, sse: 0 });
  for (const value of centres) expect(value).toBeCloseTo(0.1, 7);
});

Deno.test("as many different rows as clusters: no spread is left", () => {
  const rows = [[0, 0], [5, 1], [2, 7]];
  const values = Array.from({ length: 60 }, (_, i) => rows[i % 3]!).flat();
  const { clusters, sse, sizes } = kMeans(pointsOf(values, 2), 5, { random: random(1) });
  expect({ clusters, sse, sizes: [...sizes] }).toEqual({ clusters: 3, sse: 0, sizes: [20, 20, 20] });
});
