import type { Images } from "@subtaxa/dataset";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import {
  type BatchProgress,
  type Checkpoint,
  classify,
  embed,
  imageTensor,
  Layers,
  measuring,
  networks,
  newCheckpoint,
  preprocessings,
} from "./mod.ts";

const side = 16;
const images: Images = {
  side,
  channels: 1,
  count: 9,
  pixels: Uint8Array.from({ length: 9 * side * side }, (_, i) => (i * i * 31) % 251),
};

/** Three classes, the second with two sub-classes; statistics as after an epoch. */
const checkpoint = (): Checkpoint => {
  const start = newCheckpoint({
    backbone: "small",
    imageSize: side,
    classes: ["a", "b", "c", "d"],
    seed: 2,
    fold: 0,
  });
  const parameters = new Map(
    [...start.parameters].map(([name, { shape, value }]) => [name, tf.tensor(value, [...shape])] as const),
  );
  const { scope, statistics } = measuring(parameters);
  const all = imageTensor(images, Array.from({ length: 9 }, (_, i) => i), start.preprocessing);
  tf.tidy(() => void networks.small.forward(new Layers(scope), { x: all }));
  tf.dispose([...parameters.values(), all]);
  const rows = [{ class: 0, id: 0 }, { class: 1, id: 0 }, { class: 1, id: 2 }, { class: 2, id: 0 }];
  return { ...start, classes: ["a", "b", "c"], statistics: statistics(), head: { ...start.head, rows } };
};

const quiet = { cancelled: () => false, progress: () => {} };

Deno.test("grey images are scaled and repeated to three channels", () => {
  const x = imageTensor(images, [4], preprocessings.symmetric);
  expect(x.shape).toEqual([1, side, side, 3]);
  const value = images.pixels[4 * side * side + 7]! / 127.5 - 1;
  for (const channel of [0, 1, 2]) expect(x.dataSync()[7 * 3 + channel]).toBeCloseTo(value, 6);
  x.dispose();
});

Deno.test("a batch stays as it is when the next ones are assembled, whatever their sizes", () => {
  const of = (indices: number[]) => imageTensor(images, indices, preprocessings.symmetric);
  const batches = [[0, 1], [2, 3], [4, 5, 6, 7], [8], [8, 7, 6, 5, 4, 3, 2, 1, 0]].map((indices) => ({
    indices,
    x: of(indices),
  }));
  for (const { indices, x } of batches) {
    const expected = indices.flatMap((index) =>
      Array.from(
        images.pixels.subarray(index * side ** 2, (index + 1) * side ** 2),
        (value) => value / 127.5 - 1,
      )
    );
    x.dataSync().forEach((value, i) => expect(value).toBeCloseTo(expected[Math.floor(i / 3)]!, 5));
    x.dispose();
  }
});

Deno.test("embeddings and probabilities follow the order of the indices, whatever the batches", () => {
  const model = checkpoint();
  const before = tf.memory().numTensors;
  const inference = { checkpoint: model, inputs: images, indices: [8, 0, 5, 3, 1] };
  const whole = embed(inference, quiet);
  expect(whole).toHaveLength(5 * 256);
  const parts = embed({ ...inference, batchSize: 2 }, quiet);
  const second = embed({ ...inference, indices: [0] }, quiet);
  whole.forEach((value, i) => expect(parts[i]).toBeCloseTo(value, 4));
  second.forEach((value, i) => expect(whole[256 + i]).toBeCloseTo(value, 4));

  const probability = classify(inference, quiet);
  expect(probability).toHaveLength(5 * 3);
  const { head } = model;
  const logits = head.rows.map((_, r) =>
    second.reduce((sum, x, i) => sum + x * head.kernel.value[r * 256 + i]!, head.bias.value[r]!)
  );
  const terms = logits.map(Math.exp);
  const total = terms.reduce((a, b) => a + b);
  const wanted = [terms[0]!, terms[1]! + terms[2]!, terms[3]!].map((term) => term / total);
  wanted.forEach((value, c) => expect(probability[3 + c]).toBeCloseTo(value, 4));
  expect(tf.memory().numTensors).toBe(before);
});

Deno.test("no images, no rows", () => {
  expect(embed({ checkpoint: checkpoint(), inputs: images, indices: [] }, quiet)).toHaveLength(0);
});

Deno.test("inference reports its progress, and stops within a batch of being cancelled", () => {
  const before = tf.memory().numTensors;
  const seen: BatchProgress[] = [];
  const inference = { checkpoint: checkpoint(), inputs: images, indices: [0, 1, 2, 3, 4], batchSize: 2 };
  embed(inference, { ...quiet, progress: (value) => void seen.push(value) });
  expect(seen.map(({ done, total }) => [done, total])).toEqual([[1, 3], [2, 3], [3, 3]]);
  expect(seen.at(-1)!.secondsLeft).toBe(0);
  expect(seen[0]!.imagesPerSecond).toBeGreaterThan(0);

  let batches = 0;
  const stop = () => classify(inference, { cancelled: () => batches === 1, progress: () => void batches++ });
  expect(stop).toThrow(/cancelled/);
  expect(batches).toBe(1);
  expect(tf.memory().numTensors).toBe(before);
});
