import { expect } from "expect";
import fc from "fast-check";
import type { Metrics } from "@subtaxa/contracts";
import { summariseFolds } from "@subtaxa/metrics";
import fixture from "./statistics.fixture.json" with { type: "json" };
import { headsAtLeast, intervalOf, pairedDifference, spreadOf, studentQuantile } from "./statistics.ts";

const metrics = (accuracy: number): Metrics => ({
  accuracy,
  precision: 0,
  recall: 0,
  fScore: 0,
  falseNegativeVariance: 0,
  falsePositiveVariance: 0,
  falsePositiveRateVariance: 0,
  falseDiscoveryRateVariance: 0,
  perfectClasses: 0,
});

Deno.test("the spread is that of the metrics of a run", () => {
  fc.assert(fc.property(
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 10 }),
    (values) => {
      const { mean, deviation } = summariseFolds(values.map(metrics));
      const spread = spreadOf(values);
      expect(spread.mean).toBeCloseTo(mean.accuracy, 12);
      expect(spread.deviation).toBeCloseTo(deviation!.accuracy, 12);
    },
  ));
  expect(spreadOf([0.5])).toEqual({ mean: 0.5, deviation: undefined });
});

Deno.test("quantiles, intervals for several tests, and tails are SciPy's", () => {
  for (const { probability, freedom, quantile } of fixture.quantiles) {
    expect(studentQuantile(probability, freedom) / quantile).toBeCloseTo(1, 9);
  }
  for (const { ours, theirs, tests, interval } of fixture.intervals) {
    const found = intervalOf(pairedDifference(ours, theirs, { higherIsBetter: true }), tests)!;
    expect(found[0]).toBeCloseTo(interval[0]!, 9);
    expect(found[1]).toBeCloseTo(interval[1]!, 9);
  }
  for (const { heads, tosses, probability } of fixture.tails) {
    expect(headsAtLeast(heads, tosses)).toBeCloseTo(probability, 12);
  }
});

Deno.test("a paired difference: mean, deviation, folds, corrected interval", () => {
  const ours = [0.71, 0.68, 0.74, 0.70, 0.69];
  const theirs = [0.69, 0.67, 0.70, 0.70, 0.70];
  const difference = pairedDifference(ours, theirs, { higherIsBetter: true });
  // differences 0.02, 0.01, 0.04, 0, −0.01: mean 0.012, sample variance 0.00037
  expect(difference.mean).toBeCloseTo(0.012, 12);
  expect(difference.deviation).toBeCloseTo(Math.sqrt(0.00037), 12);
  expect([difference.better, difference.worse, difference.folds]).toEqual([3, 1, 5]);
  const half = 2.7764451051977934 * Math.sqrt(0.00037 * (1 / 5 + (1 / 5) / (4 / 5 * 7 / 8)));
  expect(difference.interval![0]).toBeCloseTo(0.012 - half, 12);
  expect(difference.interval![1]).toBeCloseTo(0.012 + half, 12);

  const variances = pairedDifference(ours, theirs, { higherIsBetter: false });
  expect([variances.better, variances.worse]).toEqual([1, 3]);
});

Deno.test("one fold has no spread, and what can't be paired is refused", () => {
  expect(pairedDifference([0.7], [0.6], { higherIsBetter: true }).interval).toBeUndefined();
  expect(() => pairedDifference([0.7, 0.8], [0.6], { higherIsBetter: true })).toThrow(RangeError);
});
