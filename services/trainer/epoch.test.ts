import { type Labels, RunRequest, type RunSpec, specOf } from "@subtaxa/contracts";
import {
  type BatchProgress,
  type Checkpoint,
  classify,
  decodeCheckpoint,
  encodeCheckpoint,
  firstCheckpoint,
  type RunData,
} from "@subtaxa/model";
import { stripes } from "@subtaxa/model/testing";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { type EpochInput, trainEpoch } from "./epoch.ts";

const [SIDE, COUNT, TRAINING] = [16, 80, 60];

/** Two classes; the second has two views. */
const data = (): RunData => {
  const { pixels, classOf } = stripes(COUNT);
  const indices = Uint32Array.from({ length: COUNT }, (_, i) => i);
  const [train, test] = [indices.subarray(0, TRAINING), indices.subarray(TRAINING)];
  return {
    inputs: { pixels, side: SIDE, channels: 1, count: COUNT },
    classOf,
    split: { train, validation: test, test },
  };
};

const spec = (changes: Partial<RunSpec> = {}): RunSpec => ({
  ...specOf(RunRequest.parse({ dataset: "stripes", imageSize: SIDE, batchSize: 16 }), {
    classes: ["lying", "standing"],
    manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 },
  }),
  ...changes,
});

const quiet = { cancelled: () => false, progress: () => {} };
const input = (changes: Partial<EpochInput> = {}): EpochInput => ({
  spec: spec(),
  fold: 0,
  epoch: 1,
  data: data(),
  start: firstCheckpoint(spec(), 0, null),
  labels: null,
  ...changes,
});

/** Trains epochs 1 … `epochs`; `between` stands for what happens to a checkpoint between two of them. */
const run = (
  epochs: number,
  change: Partial<EpochInput> = {},
  between = (checkpoint: Checkpoint) => checkpoint,
) => {
  const history = [];
  let checkpoint: Checkpoint | null = null;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const result = trainEpoch(
      input({ ...change, epoch, ...(checkpoint && { start: between(checkpoint) }) }),
      quiet,
    );
    checkpoint = result.checkpoint;
    history.push(result.training);
  }
  return { checkpoint: checkpoint!, history };
};

const accuracy = (checkpoint: Checkpoint, { inputs, classOf, split }: RunData) => {
  const probability = classify({ checkpoint, inputs, indices: split.test }, quiet);
  return split.test.filter((image, n) =>
    Number(probability[2 * n + 1]! > probability[2 * n]!) === classOf[image]
  ).length /
    split.test.length;
};

Deno.test("two small classes are learnt, and no tensor is left behind", () => {
  const before = tf.memory().numTensors;
  const { checkpoint, history } = run(6);
  expect(tf.memory().numTensors).toBe(before);
  const [first, last] = [history[0]!, history.at(-1)!];
  expect(last.crossEntropy).toBeLessThan(first.crossEntropy / 4);
  expect(last.triplet!).toBeLessThan(first.triplet!);
  expect(last.loss).toBeCloseTo(last.crossEntropy + last.triplet!, 6);
  expect(last.negativeDistance!).toBeGreaterThan(last.positiveDistance!);
  expect(last).toMatchObject({ images: TRAINING, subclasses: 2 });
  expect(checkpoint.epoch).toBe(6);
  expect(accuracy(checkpoint, data())).toBeGreaterThan(0.9);
});

Deno.test("without triplet loss there are no figures of it", () => {
  const { training } = trainEpoch(input({ spec: spec({ method: "standard" }) }), quiet);
  expect(Object.keys(training).sort()).toEqual(["crossEntropy", "images", "loss", "seconds", "subclasses"]);
  expect(training.loss).toBe(training.crossEntropy);
});

/** The largest difference of any weight, moment or statistic, relative to the tensor's root mean square. */
const difference = (a: Checkpoint, b: Checkpoint) => {
  const arrays = ({ parameters, statistics, head }: Checkpoint) => [
    ...[...parameters.values()].flatMap(({ value, first, second }) => [value, first, second]),
    ...[...statistics.values()].map(({ values }) => values),
    ...[head.kernel, head.bias].flatMap(({ value, first, second }) => [value, first, second]),
  ];
  const others = arrays(b);
  return Math.max(
    ...arrays(a).map((values, i) => {
      const scale = Math.hypot(...values) / Math.sqrt(values.length) || 1;
      return Math.max(...values.map((value, j) => Math.abs(value - others[i]![j]!))) / scale;
    }),
  );
};

Deno.test("a saved and loaded checkpoint goes on as if nothing had happened", () => {
  const augmented = { spec: spec({ augmentation: "flip-rotate" }) };
  const straight = run(3, augmented);
  const resumed = run(3, augmented, (checkpoint) => decodeCheckpoint(encodeCheckpoint(checkpoint), "x"));
  // Equal to the bit on the CPU; GPUs may add up in another order.
  expect(difference(straight.checkpoint, resumed.checkpoint)).toBeLessThan(1e-5);
  expect(resumed.checkpoint.steps).toBe(straight.checkpoint.steps);
  expect(resumed.checkpoint.head.steps).toEqual(straight.checkpoint.head.steps);
});

Deno.test("seed, fold and augmentation change what is learnt", () => {
  const loss = (changes: Partial<EpochInput>) => trainEpoch(input(changes), quiet).training.loss;
  const losses = [
    loss({}),
    loss({ spec: spec({ seed: 1 }) }),
    loss({ fold: 1 }),
    loss({ spec: spec({ augmentation: "flip-rotate" }) }),
  ];
  expect(new Set(losses.map((value) => value.toFixed(5))).size).toBe(4);
});

/** The second class divided into its two views, from sub-class 0. */
const split = ({ split: { train }, classOf }: RunData, ids: readonly [number, number]): Labels => ({
  image: train,
  class: Uint16Array.from(train, (image) => classOf[image]!),
  cluster: Uint16Array.from(train, (image) => classOf[image] === 0 ? 0 : ids[Number(image % 4 === 3)]!),
  distance: new Float32Array(train.length),
  subclasses: [{ class: 0, id: 0, from: 0 }, ...[...ids].sort().map((id) => ({ class: 1, id, from: 0 }))],
  highestIds: [0, Math.max(...ids)],
});

Deno.test("a split class trains on with a row per sub-class, and back", () => {
  const before = run(2);
  const labels = split(data(), [0, 5]);
  const divided = trainEpoch(input({ epoch: 3, start: before.checkpoint, labels }), quiet);
  expect(divided.training.subclasses).toBe(3);
  expect(divided.checkpoint.head.rows).toEqual([{ class: 0, id: 0 }, { class: 1, id: 0 }, {
    class: 1,
    id: 5,
  }]);
  const batches = Math.ceil(TRAINING / 16);
  expect([...divided.checkpoint.head.steps]).toEqual([3 * batches, 3 * batches, batches]);
  expect(divided.checkpoint.steps).toBe(3 * batches);
  const merged = {
    ...labels,
    cluster: labels.cluster.map(() => 0),
    subclasses: labels.subclasses.slice(0, 2),
  };
  const whole = trainEpoch(input({ epoch: 4, start: divided.checkpoint, labels: merged }), quiet);
  expect(whole.checkpoint.head.rows).toEqual([{ class: 0, id: 0 }, { class: 1, id: 0 }]);
  expect(whole.training.crossEntropy).toBeLessThan(before.history[0]!.crossEntropy);
});

Deno.test("an epoch reports every batch, and stops within one of being cancelled", () => {
  const before = tf.memory().numTensors;
  const seen: BatchProgress[] = [];
  trainEpoch(input(), { ...quiet, progress: (value) => void seen.push(value) });
  expect(seen.map(({ done }) => done)).toEqual([1, 2, 3, 4]);
  expect(
    seen.every(({ total, loss, imagesPerSecond, secondsLeft }) =>
      total === 4 && loss! > 0 && imagesPerSecond! > 0 && secondsLeft! >= 0
    ),
  ).toBe(true);
  let batches = 0;
  const stop = () => trainEpoch(input(), { cancelled: () => batches === 2, progress: () => void batches++ });
  expect(stop).toThrow(expect.objectContaining({ reason: { _tag: "Cancelled" } }));
  expect(batches).toBe(2);
  expect(tf.memory().numTensors).toBe(before);
});

Deno.test("a loss that is no longer finite ends the epoch with advice", () => {
  const before = tf.memory().numTensors;
  const wild = () => trainEpoch(input({ spec: spec({ learningRate: 1e20 }) }), quiet);
  expect(wild).toThrow(/diverged in epoch 1, batch \d+.*smaller learningRate/);
  expect(wild).toThrow(expect.objectContaining({ _tag: "TrainingError", retryable: false }));
  expect(tf.memory().numTensors).toBe(before);
});
