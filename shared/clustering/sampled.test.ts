import { adjustedRandIndex } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { expect } from "expect";
import { KMeansSearch } from "./kmeans.ts";
import { SAMPLE } from "./sampled.ts";
import { searchFor } from "./search.ts";
import { meansOf, plantBlobs, pointsOf, squaredDistance } from "./testing.ts";

/** More rows than twice a sample, and no whole number of windows. */
const sizes = [SAMPLE, SAMPLE - 5000, 6000, 2500, 1501];
const dimension = 20;

Deno.test("a class beyond two samples: as good as K-Means on all rows, and its figures are those of all rows", () => {
  // Overlapping blobs, so that not every row is where its sample's cluster would have it.
  const { points } = plantBlobs(3, sizes, dimension, 5);
  const search = searchFor(points, 5, { random: random(1) });
  expect(search).not.toBeInstanceOf(KMeansSearch);
  const result = search.solve(5);
  const { clusters, assignments, centres, distances } = result;
  expect(clusters).toBe(5);
  expect(result.converged).toBe(true);

  const means = meansOf(points, assignments, clusters);
  centres.forEach((value, i) => expect(Math.abs(value - means[i]!)).toBeLessThan(1e-4));
  let [sse, astray] = [0, 0];
  const counts = new Int32Array(clusters);
  assignments.forEach((own, row) => {
    const squares = Array.from(
      counts,
      (_, slot) => squaredDistance(points.values, row, centres, slot, dimension),
    );
    counts[own]!++;
    sse += squares[own]!;
    if (squares[own]! > Math.min(...squares) + 1e-3) astray++;
    if (Math.abs(distances[row]! - Math.sqrt(squares[own]!)) > 1e-3) {
      throw new Error(`distance of row ${row}`);
    }
  });
  expect([...result.sizes]).toEqual([...counts]);
  expect(result.sse / sse).toBeCloseTo(1, 6);
  // The last step of Lloyd's algorithm, which hardly lessened the SSE, is followed by no other.
  expect(astray).toBeLessThan(points.rows / 1000);

  const whole = new KMeansSearch(points, 5, { random: random(1) });
  const exact = whole.solve(5);
  expect(result.sse / exact.sse).toBeLessThan(1.0001);
  expect(adjustedRandIndex(assignments, exact.assignments)).toBeGreaterThan(0.99);
  expect(search.effectiveDimension / whole.effectiveDimension).toBeCloseTo(1, 1);
});

Deno.test("a class beyond two samples: the same stream gives the same result; an offset changes nothing", () => {
  const { points, labels } = plantBlobs(4, sizes, 8, 20);
  const solve = (offset: number, factor: number) =>
    searchFor(pointsOf(points.values.map((value) => value * factor + offset), 8), 5, { random: random(2) })
      .solve(5);
  const first = solve(0, 1);
  expect(solve(0, 1)).toEqual(first);
  expect(adjustedRandIndex(first.assignments, labels)).toBe(1);
  for (const [offset, factor] of [[4096, 1], [0, 2 ** 120], [0, 2 ** -60]] as const) {
    const moved = solve(offset, factor);
    expect(adjustedRandIndex(moved.assignments, labels)).toBe(1);
    expect(moved.sse / factor ** 2 / first.sse).toBeCloseTo(1, 3);
  }
});

Deno.test("a class beyond two samples: equal rows are one cluster, and one cluster is its mean", () => {
  const rows = 2 * SAMPLE + 1;
  const equal = searchFor(pointsOf(new Float32Array(rows * 3).fill(0.1), 3), 4, { random: random(1) }).solve(
    4,
  );
  expect(equal).toMatchObject({ clusters: 1, sse: 0, converged: true });
  expect([...equal.sizes]).toEqual([rows]);
  const values = Float32Array.from({ length: rows }, (_, i) => i % 7);
  const { centres, sizes } = searchFor(pointsOf(values, 1), 2, { random: random(1) }).solve(1);
  expect([...sizes]).toEqual([rows]);
  expect(centres[0]).toBeCloseTo(values.reduce((a, b) => a + b) / rows, 5);
});
