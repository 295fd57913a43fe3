import { expect } from "expect";
import fc from "fast-check";
import {
  ArtifactError,
  decodeFeatures,
  decodeLabels,
  decodePredictions,
  encodeFeatures,
  encodeLabels,
  encodePredictions,
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
