import type { Features } from "@subtaxa/contracts";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { preprocessings } from "./preprocessing.ts";
import { networkInput } from "./run_data.ts";

Deno.test("batches of features hold the chosen rows, also when later ones have been made", () => {
  const features: Features = {
    image: Uint32Array.of(0, 1, 2),
    values: Float32Array.of(0, 1, 10, 11, 20, 21),
    dimension: 2,
  };
  const model = { preprocessing: preprocessings.symmetric, sizeScaling: null };
  const before = tf.memory().numTensors;
  const batches = [[2, 0, 2], [1], [0, 1], []].map((rows) =>
    networkInput({ inputs: features }, rows, model).x
  );
  expect(batches.map((one) => one.arraySync())).toEqual([
    [[20, 21], [0, 1], [20, 21]],
    [[10, 11]],
    [[0, 1], [10, 11]],
    [],
  ]);
  tf.dispose(batches);
  expect(tf.memory().numTensors).toBe(before);
});
