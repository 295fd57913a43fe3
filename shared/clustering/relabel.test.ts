import { adjustedRandIndex } from "@subtaxa/metrics";
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { expect } from "expect";
import { kMeans } from "./search.ts";
import { type Divide, relabelClass } from "./relabel.ts";
import { plantBlobs } from "./testing.ts";

const divide: Divide = (points, most, random) => kMeans(points, most, { random });
const settings = { allowedClusters: 2, normalisation: "l2", random: random(1) } as const;

Deno.test("a class is divided, keeps its names in the next epoch and is put together again", () => {
  const { points: { values, dimension }, labels } = plantBlobs(1, [50, 40], 32, 20);
  const whole = new Int32Array(labels.length);
  const divided = Result.getOrThrow(relabelClass(values, dimension, whole, divide, settings));
  expect(divided.clusters.map(({ id, from, images }) => [id, from, images]).sort()).toEqual([[0, 0, 50], [
    1,
    0,
    40,
  ]]);
  expect(Array.from(divided.ids)).toEqual(Array.from(labels));
  expect(Math.min(...divided.distances)).toBeGreaterThan(0);

  const again = { ...settings, random: random(7) };
  const next = Result.getOrThrow(
    relabelClass(values, dimension, divided.ids, divide, again, divided.highestId),
  );
  expect(next.ids).toEqual(divided.ids);
  expect(next.clusters.every(({ id, from }) => id === from)).toBe(true);
  expect(next.agreement).toBeCloseTo(1, 12);

  const one = { ...settings, allowedClusters: 1 };
  const merged = Result.getOrThrow(relabelClass(values, dimension, next.ids, divide, one, next.highestId));
  expect(merged).toMatchObject({ clusters: [{ id: 0, from: 0, images: 90 }], highestId: 1, agreement: 0 });
  expect(merged.distances).toEqual(new Float32Array(90));
});

Deno.test("two lengths of one direction are told apart only without normalisation", () => {
  const source = random(5);
  const [rows, dimension] = [80, 16];
  const long = Array.from({ length: rows }, (_, row) => Number(row >= rows / 2));
  const embeddings = Float32Array.from({ length: rows * dimension }, (_, i) => {
    const length = 1 + 4 * long[Math.floor(i / dimension)]!;
    return length * (10 * Number(i % dimension === 0) + source.normal());
  });
  const agreement = (normalisation: "l2" | "none") => {
    const { ids } = Result.getOrThrow(
      relabelClass(embeddings, dimension, new Int32Array(rows), divide, { ...settings, normalisation }),
    );
    return adjustedRandIndex(ids, long);
  };
  expect(agreement("none")).toBe(1);
  expect(agreement("l2")).toBeLessThan(0.2);
});

Deno.test("embeddings that are not finite are refused", () => {
  const result = relabelClass(Float32Array.of(1, 2, NaN, 4), 2, [0, 0], divide, settings);
  expect(Result.isFailure(result) && result.failure.reason).toEqual({ _tag: "NotFinite", row: 1 });
});
