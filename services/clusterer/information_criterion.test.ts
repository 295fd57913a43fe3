import { fixture, meansOf, plantBlobs, squaredDistance } from "@subtaxa/clustering/testing";
import { expect } from "expect";
import { aic, bic, freeParameters, logLikelihood } from "./information_criterion.ts";

for (const { name, dimension, effectiveDimension, partitions } of fixture.cases) {
  Deno.test(`likelihood, BIC and AIC are SciPy's, summed point by point: ${name}`, () => {
    for (const { sizes, sse, nominal, effective } of partitions) {
      for (const [m, expected] of [[dimension, nominal], [effectiveDimension, effective]] as const) {
        const partition = { sizes, sse, dimension: m };
        expect(logLikelihood(partition)).toBeCloseTo(expected.logLikelihood, 6);
        expect(bic(partition)).toBeCloseTo(expected.bic, 6);
        expect(aic(partition)).toBeCloseTo(expected.aic, 6);
      }
    }
  });
}

Deno.test("the likelihood is the product of Gaussian densities, coordinate by coordinate", () => {
  const dimension = 5;
  const { points, labels } = plantBlobs(4, [11, 23, 8], dimension, 2);
  const sizes = [11, 23, 8];
  const centres = meansOf(points, labels, 3);
  let sse = 0;
  for (let i = 0; i < points.rows; i++) {
    sse += squaredDistance(points.values, i, centres, labels[i]!, dimension);
  }
  const variance = sse / (dimension * (points.rows - 3));
  let direct = 0;
  for (let i = 0; i < points.rows; i++) {
    direct += Math.log(sizes[labels[i]!]! / points.rows);
    for (let d = 0; d < dimension; d++) {
      const deviation = points.values[i * dimension + d]! - centres[labels[i]! * dimension + d]!;
      direct += Math.log(Math.exp(-(deviation ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance));
    }
  }
  expect(logLikelihood({ sizes, sse, dimension })).toBeCloseTo(direct, 8);
});

Deno.test("parameters: K − 1 weights, K · M coordinates, one variance", () => {
  expect(freeParameters({ sizes: [5, 5, 5], sse: 1, dimension: 4 })).toBe((3 - 1) + 3 * 4 + 1);
});

Deno.test("no spread is as likely as can be, no degree of freedom as unlikely", () => {
  expect(bic({ sizes: [10, 10], sse: 0, dimension: 3 })).toBe(Infinity);
  expect(bic({ sizes: [1, 1, 1], sse: 0, dimension: 3 })).toBe(-Infinity);
});
