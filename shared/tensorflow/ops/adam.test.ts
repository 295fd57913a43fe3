import type { Scalar, Tensor } from "@tensorflow/tfjs";
import { expect } from "expect";
import { tf } from "../load.ts";
import { FusedAdam } from "./adam.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const start = () => tf.randomNormal([6, 4], 0, 1, "float32", 7);
const target = tf.tidy(() => tf.keep(tf.randomNormal([6, 4], 0, 1, "float32", 8)));
const loss = (weights: Tensor) => tf.sum(tf.square(tf.sub(weights, target))) as Scalar;

const fresh = () => {
  const shape = [6, 4];
  const value = tf.tidy(() => start().dataSync<"float32">());
  const zeros = new Float32Array(24);
  return new FusedAdam({ step: 0, weights: new Map([["w", { shape, value, first: zeros, second: zeros }]]) });
};

const apply = (adam: FusedAdam, gradients: ReadonlyMap<string, Tensor>, learningRate: number) => {
  const scalars = adam.nextStep(learningRate);
  adam.apply(gradients, scalars);
  tf.dispose([...scalars]);
};

const step = (adam: FusedAdam, learningRate: number) => {
  const gradient = tf.tidy(() => tf.grad(loss)(adam.values().get("w")!));
  apply(adam, new Map([["w", gradient]]), learningRate);
  gradient.dispose();
};

/** Expects the weights to equal others. */
const expectWeights = (adam: FusedAdam, expected: Tensor, tolerance: number) =>
  tf.tidy(() => expectClose(adam.values().get("w")!, expected, tolerance));

Deno.test("fused Adam walks the way tfjs' Adam does", () => {
  const adam = fresh();
  const plain = tf.tidy(() => tf.variable(start()));
  const reference = tf.train.adam(0.05, 0.9, 0.999, 1e-7);
  for (let round = 0; round < 20; round++) {
    step(adam, 0.05);
    reference.minimize(() => loss(plain), false, [plain]);
    expectWeights(adam, plain, 1e-4);
  }
  adam.dispose();
  reference.dispose();
  plain.dispose();
});

Deno.test("fused Adam goes on from a state as if it had never stopped", () => {
  const [straight, stopped] = [fresh(), fresh()];
  for (let round = 0; round < 6; round++) step(straight, 0.1);
  for (let round = 0; round < 3; round++) step(stopped, 0.1);
  const state = stopped.state();
  expect(state.step).toBe(3);
  const resumed = new FusedAdam(state);
  stopped.dispose();
  for (let round = 0; round < 3; round++) step(resumed, 0.1);
  tf.tidy(() => expectWeights(resumed, straight.values().get("w")!, 0));
  straight.dispose();
  resumed.dispose();
});

Deno.test("weights that were read stay what they were when the next step is taken", () => {
  const adam = fresh();
  const held = adam.values().get("w")!;
  const before = held.dataSync().slice();
  step(adam, 0.1);
  expect(held.dataSync()).toEqual(before);
  held.dispose();
  adam.dispose();
});

Deno.test("a weight without a gradient stays", () => {
  const adam = fresh();
  apply(adam, new Map(), 0.1);
  tf.tidy(() => expectWeights(adam, start(), 0));
  adam.dispose();
});

Deno.test("fused Adam's step leaves no tensor behind, its end none at all", () => {
  const before = tf.memory().numTensors;
  const adam = fresh();
  expectNoLeak(() => step(adam, 0.01));
  adam.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
