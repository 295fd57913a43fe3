import { formulaCheckpoint, formulaImages } from "@subtaxa/model/testing";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import fixture from "./fixtures/step.json" with { type: "json" };
import { Trainee } from "./trainee.ts";

const { learningRate, margin } = fixture;
const trainee = () => new Trainee(formulaCheckpoint(), { learningRate, margin });
const labels = () => tf.tensor1d(fixture.labels, "int32");

const expectLike = (values: Float32Array, { norm, head }: { norm: number; head: number[] }) => {
  expect(Math.abs(Math.hypot(...values) - norm)).toBeLessThan(2e-3 * norm + 1e-6);
  head.forEach((value, i) =>
    expect(Math.abs(values[i]! - value)).toBeLessThan(
      2e-3 * (norm / Math.sqrt(values.length) + Math.abs(value)) + 1e-6,
    )
  );
};

Deno.test("losses and every parameter's gradient equal the reference's", () => {
  const trained = trainee();
  const [x, y] = [formulaImages(), labels()];
  const losses = trained.step(x, y);
  expect(losses.crossEntropy).toBeCloseTo(fixture.crossEntropy, 4);
  expect(losses.triplet).toBeCloseTo(fixture.triplet, 4);
  expect(losses.loss).toBeCloseTo(fixture.crossEntropy + fixture.triplet, 4);
  expect(losses.anchors).toBe(4);
  // After the first step Adam's first moment is a tenth of the gradient.
  const { parameters, head, steps } = trained.checkpoint(new Map());
  const gradient = (first: Float32Array) => first.map((value) => 10 * value);
  expect([...parameters.keys()].sort()).toEqual(Object.keys(fixture.gradients).sort());
  for (const [name, expected] of Object.entries(fixture.gradients)) {
    expectLike(gradient(parameters.get(name)!.first), expected);
  }
  expectLike(gradient(head.kernel.first), fixture.headGradients.kernel);
  expectLike(gradient(head.bias.first), fixture.headGradients.bias);
  expect([steps, ...head.steps]).toEqual([1, 1, 1, 1, 1, 1]);
  trained.dispose();
  tf.dispose([x, y]);
});

Deno.test("the loss falls as in the reference over several Adam steps", () => {
  const trained = trainee();
  const [x, y] = [formulaImages(), labels()];
  const losses = fixture.adamLosses.map(() => trained.step(x, y).loss);
  losses.forEach((loss, i) => expect(Math.abs(loss / fixture.adamLosses[i]! - 1)).toBeLessThan(0.02));
  trained.dispose();
  tf.dispose([x, y]);
});
