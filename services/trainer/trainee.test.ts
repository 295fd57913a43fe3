import { type Checkpoint, newCheckpoint } from "@subtaxa/model";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import fixture from "./fixtures/step.json" with { type: "json" };
import { Trainee } from "./trainee.ts";

// Everything is filled by the formulas of scripts/fixtures/model_small.py.
const [IMAGES, SIDE, ROWS] = [6, 16, 5];

const images = () =>
  tf.tensor4d(
    Float32Array.from({ length: IMAGES * SIDE * SIDE * 3 }, (_, i) => Math.sin(0.05 * i + 0.00001 * i * i)),
    [IMAGES, SIDE, SIDE, 3],
  );

const offsetAndScale = (name: string, shape: readonly number[]): [number, number] => {
  if (name === "embedding/kernel") return [0, 0.2];
  if (name.endsWith("/kernel")) return [0, Math.sqrt(4 / (shape[0]! * shape[1]! * shape[2]!))];
  return name.endsWith("/gamma") ? [1, 0.2] : [0, 0.1];
};

const filled = (): Checkpoint => {
  const classes = Array.from({ length: ROWS }, (_, c) => `class ${c}`);
  const checkpoint = newCheckpoint({ backbone: "small", imageSize: SIDE, classes, seed: 1, fold: 0 });
  [...checkpoint.parameters].forEach(([name, { shape, value }], index) => {
    const [offset, scale] = offsetAndScale(name, shape);
    value.forEach((_, i) => value[i] = offset + scale * Math.sin(0.7 * i + 0.001 * i * i + index));
  });
  const { kernel, bias } = checkpoint.head;
  kernel.value.forEach((_, i) => kernel.value[i] = 0.1 * Math.sin(0.3 * i));
  bias.value.forEach((_, r) => bias.value[r] = 0.1 * Math.cos(r));
  return checkpoint;
};

const { learningRate, margin } = fixture;
const trainee = () => new Trainee(filled(), { learningRate, margin });
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
  const [x, y] = [images(), labels()];
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
  const [x, y] = [images(), labels()];
  const losses = fixture.adamLosses.map(() => trained.step(x, y).loss);
  losses.forEach((loss, i) => expect(Math.abs(loss / fixture.adamLosses[i]! - 1)).toBeLessThan(0.02));
  trained.dispose();
  tf.dispose([x, y]);
});
