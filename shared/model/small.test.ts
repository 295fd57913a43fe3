import { tf } from "@subtaxa/tensorflow";
import type { Tensor4D } from "@tensorflow/tfjs";
import { expect } from "expect";
import fixture from "./fixtures/small.json" with { type: "json" };
import { Layers, loadModel, measuring, networks, newCheckpoint } from "./mod.ts";

// Everything is filled by the formulas of scripts/fixtures/model_small.py.
const [IMAGES, SIDE, ROWS, WIDTH] = [6, 16, 5, 256];

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

const filled = () => {
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

const measured = (checkpoint: ReturnType<typeof filled>) => {
  const parameters = new Map(
    [...checkpoint.parameters].map(([name, { shape, value }]) =>
      [name, tf.tensor(value, [...shape])] as const
    ),
  );
  const { scope, statistics } = measuring(parameters);
  tf.tidy(() => {
    for (const half of tf.split(images(), 2)) networks.small.forward(new Layers(scope), half as Tensor4D);
  });
  tf.dispose([...parameters.values()]);
  return statistics();
};

Deno.test("the network has the reference's parameters, fewer than half a million", () => {
  const { parameters } = filled();
  expect(Object.fromEntries([...parameters].map(([name, { shape }]) => [name, shape]))).toEqual(
    fixture.parameters,
  );
  const count = [...parameters.values()].reduce((sum, { value }) => sum + value.length, 0);
  expect(count).toBe(168_016);
});

Deno.test("batch statistics over two batches equal the reference's pooled ones", () => {
  const statistics = measured(filled());
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
  const checkpoint = filled();
  const model = loadModel({ ...checkpoint, statistics: measured(checkpoint) });
  const logits = tf.tidy(() => model.logits(model.embed(images())).dataSync());
  model.dispose();
  expect(logits.length).toBe(IMAGES * ROWS);
  fixture.logits.forEach((value, i) => expect(Math.abs(logits[i]! - value)).toBeLessThan(1e-3));
  expect(WIDTH).toBe(checkpoint.head.width);
});

Deno.test("initial weights follow seed and fold, and keep the variance of activations", () => {
  const model = (seed: number, fold: number) =>
    newCheckpoint({ backbone: "small", imageSize: SIDE, classes: ["a", "b"], seed, fold });
  const kernel = (seed: number, fold: number) =>
    model(seed, fold).parameters.get("stage3_block2_1_conv/kernel")!.value;
  expect(kernel(3, 0)).toEqual(kernel(3, 0));
  expect(kernel(3, 0)).not.toEqual(kernel(4, 0));
  expect(kernel(3, 0)).not.toEqual(kernel(3, 1));
  const values = kernel(3, 0);
  const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  expect(Math.abs(variance / (2 / (3 * 3 * 64)) - 1)).toBeLessThan(0.05);
});
