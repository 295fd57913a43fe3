import { expect } from "expect";
import fc from "fast-check";
import {
  ArtifactError,
  concatenateViews,
  decodeFeatures,
  decodeLabels,
  decodePredictions,
  decodeViews,
  encodeFeatures,
  encodeLabels,
  encodePredictions,
  encodeViews,
  viewChunks,
  type ViewFeatures,
} from "./mod.ts";

Deno.test("features come back as they were, with any number of rows", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 0, max: 20 }),
    (dimension, rows) => {
      const values = Float32Array.from({ length: rows * dimension }, (_, i) => i / 3);
      const features = { image: Uint32Array.from({ length: rows }, (_, i) => i * 2), values, dimension };
      expect(decodeFeatures(encodeFeatures(features))).toEqual(features);
    },
  ));
});

Deno.test("views come back as they were, and in several parts as one", async () => {
  const views = (from: number, rows: number): ViewFeatures => ({
    image: Uint32Array.from({ length: rows }, (_, i) => from + i),
    values: Float16Array.from({ length: rows * 2 * 3 }, (_, i) => (from * 6 + i) / 3),
    ...{ views: 2, dimension: 3 },
  });
  for (const rows of [0, 1, 7]) {
    expect(decodeViews(encodeViews(views(0, rows)))).toEqual(views(0, rows));
    const chunks = await Array.fromAsync(viewChunks(views(0, 7)));
    expect(chunks.flatMap((chunk) => [...chunk])).toEqual([...encodeViews(views(0, 7))]);
  }
  const parts = function* (...all: ViewFeatures[]) {
    for (const part of all) yield decodeViews(encodeViews(part));
  };
  expect(concatenateViews(parts(views(0, 3), views(3, 0), views(3, 4)), 7)).toEqual(views(0, 7));
  for (const rows of [6, 8]) {
    expect(() => concatenateViews(parts(views(0, 3), views(3, 4)), rows)).toThrow(ArtifactError);
  }
  const other = { ...views(3, 4), views: 3, dimension: 2 };
  expect(() => concatenateViews(parts(views(0, 3), other), 7)).toThrow(/3 × 2 values, others 2 × 3/);
  const features = encodeFeatures({ image: Uint32Array.of(1), values: Float32Array.of(1, 2), dimension: 2 });
  expect(() => decodeViews(features)).toThrow(/not a views table/);
});

Deno.test("labels and predictions come back as they were", () => {
  const labels = {
    image: Uint32Array.of(3, 9),
    class: Uint16Array.of(0, 1),
    cluster: Uint16Array.of(2, 0),
    distance: Float32Array.of(0.5, 0),
    subclasses: [{ class: 0, id: 2, from: 0 }, { class: 1, id: 0, from: 0 }],
    highestIds: [2, 0],
  };
  expect(decodeLabels(encodeLabels(labels))).toEqual(labels);
  const predictions = {
    image: Uint32Array.of(1, 2),
    true: Uint16Array.of(0, 1),
    predicted: Uint16Array.of(1, 1),
    probability: Float32Array.of(0.25, 0.75, 0.5, 0.5),
    classes: 2,
  };
  expect(decodePredictions(encodePredictions(predictions))).toEqual(predictions);
});

Deno.test("bytes that are no such table are a typed error that names the artifact", () => {
  const features = encodeFeatures({ image: Uint32Array.of(1), values: Float32Array.of(1, 2), dimension: 2 });
  expect(() => decodeLabels(features)).toThrow(ArtifactError);
  expect(() => decodeLabels(features)).toThrow(/labels/);
  expect(() => decodeFeatures(new Uint8Array([1, 2, 3]))).toThrow(ArtifactError);
});
