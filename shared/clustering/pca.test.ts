import { random } from "@subtaxa/random";
import { adjustedRandIndex } from "@subtaxa/metrics";
import { expect } from "expect";
import { alongPrincipalAxes, principalComponents } from "./pca.ts";
import type { Divide } from "./relabel.ts";
import { kMeans } from "./search.ts";
import { fixture, plantBlobs, pointsOf } from "./testing.ts";

const divide: Divide = (points, most, random) => kMeans(points, most, { random, restarts: 20 });

for (const { name, values, dimension, planted, reduced } of fixture.cases) {
  Deno.test(`principal components are scikit-learn's, but for their signs: ${name}`, () => {
    const { values: found, dimension: kept } = principalComponents(
      pointsOf(values, dimension),
      reduced.dimensions,
    );
    expect(kept).toBe(reduced.dimensions);
    for (let k = 0; k < kept; k++) {
      const column = (all: ArrayLike<number>) => Array.from(all).filter((_, i) => i % kept === k);
      const [ours, theirs] = [column(found), column(reduced.components)];
      const sign = Math.sign(ours.reduce((sum, value, row) => sum + value * theirs[row]!, 0));
      ours.forEach((value, row) => expect(sign * value).toBeCloseTo(theirs[row]!, 3));
    }
  });

  if (planted === null) continue; // neighbouring optima: only one of them is the best
  Deno.test(`the components are divided as scikit-learn does, distances are the points': ${name}`, () => {
    const points = pointsOf(values, dimension);
    const { assignments, distances } = alongPrincipalAxes(reduced.dimensions, divide)(
      points,
      planted,
      random(1),
    );
    expect(adjustedRandIndex(assignments, reduced.labels)).toBe(1);
    distances.forEach((distance, row) => expect(distance).toBeCloseTo(reduced.distances[row]!, 3));
  });
}

Deno.test("more components than dimensions are all dimensions, and without a number nothing is done", () => {
  const { points } = plantBlobs(1, [30], 4, 0);
  const { values, dimension } = principalComponents(points, 99);
  expect(dimension).toBe(4);
  const squares = (all: Float32Array) => all.reduce((sum, value) => sum + value * value, 0);
  const mean = Array.from(
    { length: 4 },
    (_, d) => points.values.filter((_, i) => i % 4 === d).reduce((sum, value) => sum + value) / 30,
  );
  const centred = points.values.map((value, i) => value - mean[i % 4]!);
  expect(squares(values)).toBeCloseTo(squares(centred), 3);
  expect(alongPrincipalAxes(undefined, divide)).toBe(divide);
});

Deno.test("no row, one row and equal rows have components", () => {
  const reduced = alongPrincipalAxes(2, divide);
  expect(reduced(pointsOf([], 4), 3, random(1)).assignments).toEqual(new Int32Array());
  expect(reduced(pointsOf([1, 2, 3], 3), 3, random(1))).toMatchObject({ clusters: 1 });
  expect(reduced(pointsOf(new Array(40).fill(-7.3), 4), 3, random(1))).toMatchObject({ clusters: 1 });
});

Deno.test("the axes of a class larger than a sample come from rows all over it", () => {
  const source = random(4);
  const rows = 40_000;
  // the second half spreads along the second dimension only
  const values = Float32Array.from({ length: rows * 3 }, (_, i) => {
    const along = i < rows * 1.5 ? 0 : 1;
    return source.normal() * (i % 3 === along ? [2, 5][along]! : 0.1);
  });
  const { values: found } = principalComponents(pointsOf(values, 3), 1);
  const variance = found.reduce((sum, value) => sum + value * value, 0) / rows;
  expect(variance).toBeGreaterThan(12); // 25 in one half of the rows
});
