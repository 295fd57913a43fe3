import type { Points } from "@subtaxa/clustering";
import { fixture, gaussian, plantBlobs, pointsOf } from "@subtaxa/clustering/testing";
import { adjustedRandIndex } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { expect } from "expect";
import spectra from "./spectra.fixture.json" with { type: "json" };
import { xMeans } from "./xmeans.ts";

const dimensions = [16, 64, 256];
const seeds = Array.from({ length: 100 }, (_, seed) => seed);
const dimensionOf = (seed: number) => dimensions[seed % dimensions.length]!;

for (const { name, values, dimension, planted, effectiveDimension, partitions } of fixture.cases) {
  Deno.test(`the choice is the one among scikit-learn's best partitions: ${name}`, () => {
    for (const kind of ["effective", "nominal"] as const) {
      for (const criterion of ["bic", "aic"] as const) {
        // Without blobs, neighbouring optima differ in size and score: only the stricter choice is certain.
        if (planted === null && (kind === "nominal" || criterion === "aic")) continue;
        const result = xMeans(pointsOf(values, dimension), {
          random: random(1),
          restarts: 20,
          allowedClusters: 5,
          minClusterSize: 5,
          criterion,
          dimension: kind,
        });
        expect(result.dimension / (kind === "nominal" ? dimension : effectiveDimension)).toBeCloseTo(1, 4);
        for (const { clusters, score } of result.candidates) {
          if (clusters !== 1 && clusters !== planted) continue;
          expect(score).toBeCloseTo(partitions[clusters - 1]![kind][criterion], 1);
        }
        const best = partitions
          .filter(({ sizes }) => sizes.length === 1 || Math.min(...sizes) >= 5)
          .reduce((a, b) => b[kind][criterion] > a[kind][criterion] ? b : a);
        expect(result.clusters).toBe(best.clusters);
      }
    }
  });
}

Deno.test("2 to 6 planted blobs of uneven sizes are found in at least 95 of 100 seeds", () => {
  const found = seeds.filter((seed) => {
    const source = random(seed, 1);
    const sizes = Array.from({ length: 2 + seed % 5 }, () => 30 + source.integer(120));
    const { points, labels } = plantBlobs(seed, sizes, dimensionOf(seed), 12);
    const { clusters, assignments } = xMeans(points, { allowedClusters: 8, random: random(seed, 2) });
    return clusters === sizes.length && adjustedRandIndex(assignments, labels) > 0.98;
  });
  expect(found.length).toBeGreaterThanOrEqual(95);
});

Deno.test("a single blob stays whole in at least 95 of 100 seeds", () => {
  const whole = seeds.filter((seed) => {
    const { points } = plantBlobs(seed, [40 + 3 * seed], dimensionOf(seed), 0);
    return xMeans(points, { allowedClusters: 5, random: random(seed, 2) }).clusters === 1;
  });
  expect(whole.length).toBeGreaterThanOrEqual(95);
});

/** Every row at length 1. */
const scaledRows = ({ values, rows, dimension }: Points) =>
  pointsOf(
    Array.from({ length: rows }, (_, i) => {
      const row = values.subarray(i * dimension, (i + 1) * dimension);
      const length = Math.hypot(...row);
      return Array.from(row, (value) => value / length);
    }).flat(),
    dimension,
  );

const isDivided = (points: Points, seed: number, dimension: "effective" | "nominal") =>
  xMeans(points, { allowedClusters: 5, dimension, random: random(seed) }).clusters > 1;

Deno.test("Gaussian noise whose variances fall exponentially stays whole by the effective dimension", () => {
  const width = 256;
  for (const decay of [3, 6, 20, 60, Infinity]) {
    const variances = Array.from({ length: width }, (_, d) => Math.exp(-d / decay));
    const away = 1.5 * Math.sqrt(variances.reduce((a, b) => a + b)); // scaled to length 1, it is one part of a sphere
    for (const rows of [60, 300, 1000]) {
      for (const seed of seeds.slice(0, 2)) {
        expect(isDivided(gaussian(seed, rows, variances), seed, "effective")).toBe(false);
        const scaled = scaledRows(gaussian(seed, rows, variances, away));
        expect([decay, rows, isDivided(scaled, seed, "effective")]).toEqual([decay, rows, false]);
      }
    }
  }
});

// Spectra of the embeddings of 14 classes of plankton, scaled to length 1: scripts/fixtures/spectra.py.
Deno.test("Gaussian noise with real classes' spectra mostly stays whole, and is always cut up by the nominal dimension", () => {
  const runs = spectra.cases.flatMap((one) => seeds.slice(0, 5).map((seed) => ({ ...one, seed })));
  // 5 of 70, of the two classes with the most uneven spectra among the large ones
  const divided = runs.filter(({ spectrum, rows, seed }) =>
    isDivided(gaussian(seed, rows, spectrum), seed, "effective")
  );
  expect(divided.length).toBeLessThanOrEqual(7);
  const full = (spectrum: number[]) => [...spectrum, ...new Array(256 - spectrum.length).fill(0)];
  for (const { spectrum, rows } of spectra.cases) {
    expect(isDivided(gaussian(0, rows, full(spectrum)), 0, "nominal")).toBe(true);
  }
});

Deno.test("a division with too small a cluster is refused, and a small class not divided at all", () => {
  const { points } = plantBlobs(1, [60, 7], 16, 40);
  const settings = { allowedClusters: 2, random: random(1) };
  const refused = xMeans(points, settings);
  expect(refused.clusters).toBe(1);
  expect(refused.candidates[1]).toMatchObject({ clusters: 2, smallest: 7, refused: true });
  expect(refused.candidates[1]!.score).toBeGreaterThan(refused.candidates[0]!.score);
  expect(xMeans(points, { ...settings, minClusterSize: 7 }).clusters).toBe(2);

  const small = plantBlobs(2, [7, 8], 16, 40).points;
  expect(xMeans(small, settings)).toMatchObject({ clusters: 1, candidates: [{ clusters: 1 }] });
  expect(xMeans(plantBlobs(2, [8, 8], 16, 40).points, settings).clusters).toBe(2);
});

Deno.test("never more clusters than allowed, and one is allowed at least", () => {
  const { points } = plantBlobs(3, [40, 40, 40, 40], 16, 14);
  for (const [allowedClusters, clusters] of [[0, 1], [1, 1], [2, 2], [3, 3], [4, 4], [9, 4]] as const) {
    expect(xMeans(points, { allowedClusters, random: random(1) }).clusters).toBe(clusters);
  }
});

Deno.test("no rows, one row, equal rows and few different rows are handled", () => {
  const settings = { allowedClusters: 5, random: random(1) };
  expect(xMeans(pointsOf([], 4), settings)).toMatchObject({
    clusters: 1,
    sse: 0,
    assignments: new Int32Array(0),
  });
  expect(xMeans(pointsOf([1, 2, 3], 3), settings)).toMatchObject({ clusters: 1, sse: 0 });
  expect(xMeans(pointsOf(new Array(400).fill(0), 4), settings)).toMatchObject({ clusters: 1, sse: 0 });
  expect(xMeans(pointsOf(new Array(400).fill(-7.3), 4), settings)).toMatchObject({ clusters: 1, sse: 0 });
  const twoKinds = Array.from({ length: 200 }, (_, i) => i % 2 === 0 ? [0, 1] : [1, 0]).flat();
  expect(xMeans(pointsOf(twoKinds, 2), settings)).toMatchObject({
    clusters: 2,
    sse: 0,
    sizes: Int32Array.of(100, 100),
  });
});
