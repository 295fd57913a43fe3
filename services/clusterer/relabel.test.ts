import { random } from "@subtaxa/random";
import { Result } from "effect";
import { expect } from "expect";
import { relabelClass } from "./relabel.ts";
import { plantBlobs } from "./testing.ts";

const settings = { allowedClusters: 3, normalisation: "l2", random: random(1) } as const;

Deno.test("a class is divided, keeps its names in the next epoch and is put together again", () => {
  const { points: { values, dimension }, labels } = plantBlobs(1, [50, 40], 32, 20);
  const whole = new Int32Array(labels.length);
  const divided = Result.getOrThrow(relabelClass(values, dimension, whole, settings));
  expect(divided.clusters.map(({ id, from, images }) => [id, from, images]).sort()).toEqual([[0, 0, 50], [
    1,
    0,
    40,
  ]]);
  expect(Array.from(divided.ids)).toEqual(Array.from(labels));
  expect(Math.min(...divided.distances)).toBeGreaterThan(0);
  expect(divided.candidates.map(({ clusters }) => clusters)).toEqual([1, 2, 3]);

  const next = Result.getOrThrow(
    relabelClass(values, dimension, divided.ids, { ...settings, random: random(7) }, divided.highestId),
  );
  expect(next.ids).toEqual(divided.ids);
  expect(next.clusters.every(({ id, from }) => id === from)).toBe(true);
  expect(next.agreement).toBeCloseTo(1, 12);

  const merged = Result.getOrThrow(
    relabelClass(values, dimension, next.ids, { ...settings, allowedClusters: 1 }, next.highestId),
  );
  expect(merged).toMatchObject({ clusters: [{ id: 0, from: 0, images: 90 }], highestId: 1, agreement: 0 });
  expect(merged.distances).toEqual(new Float32Array(90));
});

Deno.test("two lengths of one direction are two clusters only without normalisation", () => {
  const source = random(5);
  const [rows, dimension] = [80, 16];
  const embeddings = Float32Array.from({ length: rows * dimension }, (_, i) => {
    const length = i < rows * dimension / 2 ? 1 : 5;
    return length * (10 * Number(i % dimension === 0) + source.normal());
  });
  const divide = (normalisation: "l2" | "none") =>
    Result.getOrThrow(
      relabelClass(embeddings, dimension, new Int32Array(rows), {
        ...settings,
        allowedClusters: 2,
        normalisation,
      }),
    ).clusters.length;
  expect([divide("l2"), divide("none")]).toEqual([1, 2]);
});

Deno.test("embeddings that are not finite are refused", () => {
  const result = relabelClass(Float32Array.of(1, 2, NaN, 4), 2, [0, 0], settings);
  expect(Result.isFailure(result) && result.failure.reason).toEqual({ _tag: "NotFinite", row: 1 });
});
