import type { Scalar, Tensor } from "@tensorflow/tfjs";
import { expect } from "expect";
import { tf } from "../load.ts";
import { FusedAdam } from "./adam.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const start = () => tf.randomNormal([6, 4], 0, 1, "float32", 7);
const target = tf.tidy(() => tf.keep(tf.randomNormal([6, 4], 0, 1, "float32", 8)));
const loss = (weights: Tensor) => tf.sum(tf.square(tf.sub(weights, target))) as Scalar;

const step = (adam: FusedAdam, variable: tfVariable, learningRate: number) => {
  const { value, grads } = tf.variableGrads(() => loss(variable), [variable]);
  adam.apply([variable], grads, learningRate);
  tf.dispose([value, grads]);
};
type tfVariable = ReturnType<typeof tf.variable>;

const variableFrom = (make: () => Tensor) => tf.tidy(() => tf.variable(make()));

Deno.test("fused Adam walks the way tfjs' Adam does", () => {
  const [fused, plain] = [variableFrom(start), variableFrom(start)];
  const adam = new FusedAdam({ epsilon: 1e-7 });
  const reference = tf.train.adam(0.05, 0.9, 0.999, 1e-7);
  for (let round = 0; round < 20; round++) {
    step(adam, fused, 0.05);
    reference.minimize(() => loss(plain), false, [plain]);
    expectClose(fused, plain, 1e-4);
  }
  adam.dispose();
  reference.dispose();
  tf.dispose([fused, plain]);
});

Deno.test("a restored fused Adam goes on as if it had never stopped", () => {
  const [straight, stopped] = [variableFrom(start), variableFrom(start)];
  const [first, second] = [new FusedAdam(), new FusedAdam()];
  for (let round = 0; round < 6; round++) step(first, straight, 0.1);

  const before = new FusedAdam();
  for (let round = 0; round < 3; round++) step(before, stopped, 0.1);
  const renamed = tf.variable(stopped, true, straight.name + "_again");
  const { step: steps, moments } = before.state();
  const saved = moments.get(stopped.name);
  if (saved === undefined) throw new Error("the moments are missing");
  second.restore({ step: steps, moments: new Map([[renamed.name, saved]]) });
  before.dispose();
  tf.dispose([saved.first, saved.second]);
  for (let round = 0; round < 3; round++) step(second, renamed, 0.1);

  expect(steps).toBe(3);
  expectClose(renamed, straight, 0);
  first.dispose();
  second.dispose();
  tf.dispose([straight, stopped, renamed]);
});

Deno.test("weights assigned from outside are the ones fused Adam goes on from", () => {
  const variable = variableFrom(start);
  const adam = new FusedAdam();
  step(adam, variable, 0.01);
  tf.tidy(() => variable.assign(tf.fill([6, 4], 100)));
  step(adam, variable, 0.01);
  tf.tidy(() => expect(tf.abs(tf.sub(variable, 100)).max().dataSync()[0]).toBeLessThan(0.1));
  adam.dispose();
  variable.dispose();
});

Deno.test("fused Adam's step leaves no tensor behind, its end none at all", () => {
  const before = tf.memory().numTensors;
  const variable = variableFrom(start);
  const adam = new FusedAdam();
  expectNoLeak(() => step(adam, variable, 0.01));
  adam.dispose();
  variable.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
