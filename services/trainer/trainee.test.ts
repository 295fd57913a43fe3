import { featuresOf } from "@subtaxa/contracts";
import { newCheckpoint, type TrainingState } from "@subtaxa/model";
import { formulaCheckpoint, formulaImages } from "@subtaxa/model/testing";
import { nativeBackend, tf } from "@subtaxa/tensorflow";
import type { Rank } from "@tensorflow/tfjs";
import { expect } from "expect";
import fixture from "./fixtures/step.json" with { type: "json" };
import { tripletLoss } from "./losses.ts";
import { Trainee, type TripletLoss } from "./trainee.ts";

const { learningRate, margin } = fixture;
const triplets: TripletLoss = (embeddings, { subclasses }) =>
  tripletLoss(embeddings, subclasses, { mining: "batch-hard", margin });
const trainee = () => new Trainee(formulaCheckpoint(), triplets);
/** The same for head and triplets. */
const labelsOf = (labels: number[]) => {
  const rows = tf.tensor1d(labels, "int32");
  return { rows, subclasses: rows };
};
const labels = () => labelsOf(fixture.labels);
const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

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
  const losses = trained.step({ x }, y, learningRate);
  expect(losses.crossEntropy).toBeCloseTo(fixture.crossEntropy, 4);
  expect(losses.triplet).toBeCloseTo(fixture.triplet, 4);
  expect(losses.loss).toBeCloseTo(fixture.crossEntropy + fixture.triplet, 4);
  expect(losses.terms).toBe(4);
  // After the first step Adam's first moment is a tenth of the gradient.
  const { parameters, head, steps } = trained.state();
  const gradient = (first: Float32Array) => first.map((value) => 10 * value);
  expect([...parameters.keys()].sort()).toEqual(Object.keys(fixture.gradients).sort());
  for (const [name, expected] of Object.entries(fixture.gradients)) {
    expectLike(gradient(parameters.get(name)!.first), expected);
  }
  expectLike(gradient(head.kernel.first), fixture.headGradients.kernel);
  expectLike(gradient(head.bias.first), fixture.headGradients.bias);
  expect([steps, ...head.steps]).toEqual([1, 1, 1, 1, 1, 1]);
  trained.dispose();
  tf.dispose([x, y.rows]);
});

Deno.test("the loss falls as in the reference over several Adam steps", () => {
  const trained = trainee();
  const [x, y] = [formulaImages(), labels()];
  const losses = fixture.adamLosses.map(() => trained.step({ x }, y, learningRate).loss);
  losses.forEach((loss, i) => expect(Math.abs(loss / fixture.adamLosses[i]! - 1)).toBeLessThan(0.02));
  trained.dispose();
  tf.dispose([x, y.rows]);
});

for (const backbone of ["resnet50", "efficientnet-b0"] as const) {
  Deno.test(`${backbone} learns a batch by heart, and a step leaves no tensor behind`, () => {
    const start = newCheckpoint({ backbone, imageSize: 32, classes: ["a", "b"], seed: 1, fold: 0 });
    const trained = new Trainee(start, triplets);
    const x = tf.randomUniform<Rank.R4>([8, 32, 32, 3], -1, 1, "float32", 5);
    const y = labelsOf([0, 1, 0, 1, 0, 1, 0, 1]);
    const learningRate = 1e-3;
    const first = trained.step({ x }, y, learningRate);
    const live = () => [tf.memory().numTensors, nativeBackend().getNumOfTFTensors()];
    const before = live();
    const losses = [1, 2, 3, 4, 5].map(() => trained.step({ x }, y, learningRate).crossEntropy);
    expect(live()).toEqual(before);
    expect(losses.at(-1)!).toBeLessThan(first.crossEntropy / 4);
    trained.dispose();
    tf.dispose([x, y.rows]);
  });
}

for (
  const [backbone, freeze, withSizes = ""] of [
    ["small", "none"],
    ["resnet50", "none"],
    ["resnet50", "conv3"],
    ["efficientnet-b0", "none"],
    ["efficientnet-b0", "backbone"],
    ["small", "none", "with sizes"],
    ["small", "backbone", "with sizes"],
  ] as const
) {
  Deno.test(`${backbone}, ${freeze} frozen ${withSizes}: the compiled second step is the one that runs operation by operation`, () => {
    const sizeScaling = withSizes ? { mean: [0, 0, 0], deviation: [1, 1, 1] } : null;
    const model = { backbone, imageSize: 32, classes: ["a", "b"], seed: 1, fold: 0, freeze, sizeScaling };
    const start = newCheckpoint(model);
    // every step of a new trainee is its first, which is not compiled
    const stepwise = (state: TrainingState, statistics: TrainingState["statistics"]) => {
      const trained = new Trainee({ ...state, statistics }, triplets);
      trained.step(input, y, learningRate);
      const next = trained.state();
      trained.dispose();
      return next;
    };
    const x = freeze === "backbone"
      ? tf.randomUniform<Rank.R2>([8, featuresOf[backbone]], -1, 1, "float32", 5)
      : tf.randomUniform<Rank.R4>([8, 32, 32, 3], -1, 1, "float32", 5);
    const sizes = tf.randomUniform<Rank.R2>([8, 3], -2, 2, "float32", 6);
    const input = withSizes ? { x, sizes } : { x };
    const y = labelsOf([0, 1, 0, 1, 0, 1, 0, 1]);
    const statistics = new Map(
      [...start.frozen].flatMap(([name, { shape, values }]) =>
        !name.endsWith("/gamma") ? [] : ["moving_mean", "moving_variance"].map((kind) =>
          [
            name.replace("gamma", kind),
            { shape, values: values.map((_, i) => 1 + (i % 5) / 10) },
          ] as const
        )
      ),
    );
    const trained = new Trainee({ ...start, statistics }, triplets);
    for (let step = 0; step < 2; step++) trained.step(input, y, learningRate);
    const actual = trained.state();
    trained.dispose();
    let expected = start;
    for (let step = 0; step < 2; step++) expected = stepwise(expected, statistics);
    tf.dispose([x, sizes, y.rows]);
    expect(actual.steps).toBe(2);
    if (withSizes) {
      expect(expected.parameters.get("embedding/kernel")!.shape[0]).toBe(featuresOf[backbone] + 3);
    }
    for (const [name, { first }] of expected.parameters) {
      const other = actual.parameters.get(name)!;
      const apart = norm(first.map((v, i) => v - other.first[i]!));
      expect(apart).toBeLessThanOrEqual(1e-4 * norm(first) + 1e-7);
    }
  });
}
