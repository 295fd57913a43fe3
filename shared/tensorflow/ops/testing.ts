import type { Tensor } from "@tensorflow/tfjs";
import { expect } from "expect";
import { tf } from "../load.ts";

/** Expects two tensors of one shape whose values differ by at most `tolerance` (absolute and relative). */
export const expectClose = (actual: Tensor, expected: Tensor, tolerance = 1e-5): void => {
  expect(actual.shape).toEqual(expected.shape);
  const values = actual.dataSync();
  expected.dataSync().forEach((value, index) => {
    const difference = Math.abs((values[index] ?? NaN) - value);
    if (!(difference <= tolerance * Math.max(1, Math.abs(value)))) {
      throw new Error(`value ${index} is ${values[index]}, expected ${value}`);
    }
  });
};

/** Expects that the body leaves no tensor behind, neither in tfjs nor in TensorFlow. */
export const expectNoLeak = (body: () => void): void => {
  const backend = tf.backend() as unknown as { getNumOfTFTensors(): number };
  body();
  const before = [tf.memory().numTensors, backend.getNumOfTFTensors()];
  for (let round = 0; round < 3; round++) body();
  expect([tf.memory().numTensors, backend.getNumOfTFTensors()]).toEqual(before);
};
