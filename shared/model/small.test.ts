import { tf } from "@subtaxa/tensorflow";
import type { Tensor4D } from "@tensorflow/tfjs";
import { expect } from "expect";
import fixture from "./fixtures/small.json" with { type: "json" };
import { type Checkpoint, Layers, loadModel, measuring, networks, newCheckpoint } from "./mod.ts";
import { formulaCheckpoint, formulaImages } from "./testing.ts";

const measured = (checkpoint: Checkpoint) => {
  const parameters = new Map(
    [...checkpoint.parameters].map(([name, { shape, value }]) =>
      [name, tf.tensor(value, [...shape])] as const
    ),
  );
  const { scope, statistics } = measuring(parameters);
  tf.tidy(() => {
    for (const half of tf.split(formulaImages(), 2)) {
      networks.small.forward(new Layers(scope), { x: half as Tensor4D });
    }
  });
  tf.dispose([...parameters.values()]);
  return statistics();
};

Deno.test("the network has the reference's parameters, fewer than half a million", () => {
  const { parameters } = formulaCheckpoint();
  expect(Object.fromEntries([...parameters].map(([name, { shape }]) => [name, shape]))).toEqual(
    fixture.parameters,
  );
  const count = [...parameters.values()].reduce((sum, { value }) => sum + value.length, 0);
  expect(count).toBe(168_016);
});

Deno.test("batch statistics over two batches equal the reference's pooled ones", () => {
  const statistics = measured(formulaCheckpoint());
  expect([...statistics.keys()].sort()).toEqual(Object.keys(fixture.statistics).sort());
  for (const [name, { norm, head }] of Object.entries(fixture.statistics)) {
    const { values } = statistics.get(name)!;
    expect(Math.abs(Math.hypot(...values) / norm - 1)).toBeLessThan(1e-4);
    head.forEach((value, i) =>
      expect(Math.abs(values[i]! - value)).toBeLessThan(1e-4 * (1 + Math.abs(value)))
    );
  }
});

Deno.test("inference with those statistics gives the reference's logits", () => {
  const checkpoint = formulaCheckpoint();
  const model = loadModel({ ...checkpoint, statistics: measured(checkpoint) });
  const logits = tf.tidy(() => model.logits(model.embed({ x: formulaImages() })).dataSync());
  model.dispose();
  expect(logits.length).toBe(fixture.logits.length);
  fixture.logits.forEach((value, i) => expect(Math.abs(logits[i]! - value)).toBeLessThan(1e-3));
});

Deno.test("initial weights follow seed and fold, and keep the variance of activations", () => {
  const model = (seed: number, fold: number) =>
    newCheckpoint({ backbone: "small", imageSize: 16, classes: ["a", "b"], seed, fold });
  const kernel = (seed: number, fold: number) =>
    model(seed, fold).parameters.get("stage3_block2_1_conv/kernel")!.value;
  expect(kernel(3, 0)).toEqual(kernel(3, 0));
  expect(kernel(3, 0)).not.toEqual(kernel(4, 0));
  expect(kernel(3, 0)).not.toEqual(kernel(3, 1));
  const values = kernel(3, 0);
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  expect(Math.abs(variance / (2 / (3 * 3 * 64)) - 1)).toBeLessThan(0.05);
});
