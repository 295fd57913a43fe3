import { type Labels, RunRequest, type RunSpec, specOf } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import {
  backboneFeatures,
  type BatchProgress,
  classify,
  decodeCheckpoint,
  encodeCheckpoint,
  encodeOptimizer,
  firstCheckpoint,
  type FrozenFeatures,
  newCheckpoint,
  type RunData,
  sizeScalingOf,
  type TrainingState,
  viewFeatures,
  withOptimizer,
} from "@subtaxa/model";
import { madeUpWeights, stripes } from "@subtaxa/model/testing";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { type EpochInput, learningRateAt, trainEpoch } from "./epoch.ts";

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
  ...specOf(RunRequest.parse({ dataset: "stripes", imageSize: SIDE, batchSize: 16, sizeFeatures: false }), {
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

/** Trains epochs 1 … `epochs`; `between` stands for what happens to a state between two of them. */
const run = (
  epochs: number,
  change: Partial<EpochInput> = {},
  between = (state: TrainingState) => state,
) => {
  const history = [];
  let state: TrainingState | null = null;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const result = trainEpoch(
      input({ ...change, epoch, ...(state && { start: between(state) }) }),
      quiet,
    );
    state = result.state;
    history.push(result.training);
  }
  return { state: state!, history };
};

const accuracy = (state: TrainingState, { inputs, classOf, split }: RunData) => {
  const probability = classify({ checkpoint: state, inputs, indices: split.test }, quiet);
  return split.test.filter((image, n) =>
    Number(probability[2 * n + 1]! > probability[2 * n]!) === classOf[image]
  ).length /
    split.test.length;
};

Deno.test("two small classes are learnt, and no tensor is left behind", () => {
  const before = tf.memory().numTensors;
  const { state, history } = run(6);
  expect(tf.memory().numTensors).toBe(before);
  const [first, last] = [history[0]!, history.at(-1)!];
  expect(last.crossEntropy).toBeLessThan(first.crossEntropy / 4);
  expect(last.triplet!).toBeLessThan(first.triplet!);
  expect(last.loss).toBeCloseTo(last.crossEntropy + last.triplet!, 6);
  expect(last.negativeDistance!).toBeGreaterThan(last.positiveDistance!);
  expect(last).toMatchObject({ images: TRAINING, subclasses: 2 });
  expect(state.epoch).toBe(6);
  expect(accuracy(state, data())).toBeGreaterThan(0.9);
});

Deno.test("without triplet loss there are no figures of it", () => {
  const { training } = trainEpoch(input({ spec: spec({ method: "standard" }) }), quiet);
  expect(Object.keys(training).sort()).toEqual(["crossEntropy", "images", "loss", "seconds", "subclasses"]);
  expect(training.loss).toBe(training.crossEntropy);
});

/** The largest difference of any weight, moment or statistic, relative to the tensor's root mean square. */
const difference = (a: TrainingState, b: TrainingState) => {
  const arrays = ({ parameters, statistics, head }: TrainingState) => [
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

Deno.test("a saved and loaded state goes on as if nothing had happened", () => {
  const augmented = { spec: spec({ augmentation: "flip-rotate" }) };
  const straight = run(3, augmented);
  const resumed = run(
    3,
    augmented,
    (state) => withOptimizer(decodeCheckpoint(encodeCheckpoint(state), "x"), encodeOptimizer(state), "y"),
  );
  // Equal to the bit on the CPU; GPUs may add up in another order.
  expect(difference(straight.state, resumed.state)).toBeLessThan(1e-5);
  expect(resumed.state.steps).toBe(straight.state.steps);
  expect(resumed.state.head.steps).toEqual(straight.state.head.steps);
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
  const divided = trainEpoch(input({ epoch: 3, start: before.state, labels }), quiet);
  expect(divided.training.subclasses).toBe(3);
  expect(divided.state.head.rows).toEqual([{ class: 0, id: 0 }, { class: 1, id: 0 }, {
    class: 1,
    id: 5,
  }]);
  const batches = Math.ceil(TRAINING / 16);
  expect([...divided.state.head.steps]).toEqual([3 * batches, 3 * batches, batches]);
  expect(divided.state.steps).toBe(3 * batches);
  const merged = {
    ...labels,
    cluster: labels.cluster.map(() => 0),
    subclasses: labels.subclasses.slice(0, 2),
  };
  const whole = trainEpoch(input({ epoch: 4, start: divided.state, labels: merged }), quiet);
  expect(whole.state.head.rows).toEqual([{ class: 0, id: 0 }, { class: 1, id: 0 }]);
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

Deno.test("an epoch that is cancelled while its batch statistics are measured leaves no tensor behind", () => {
  const before = tf.memory().numTensors;
  for (const batch of [1, 2]) {
    let asked: number | undefined;
    const stop = () =>
      trainEpoch(
        input(),
        { ...quiet, cancelled: () => asked !== undefined && ++asked === batch },
        () => void (asked = 0),
      );
    expect(stop).toThrow(expect.objectContaining({ reason: { _tag: "Cancelled" } }));
    expect(asked).toBe(batch);
    expect(tf.memory().numTensors).toBe(before);
  }
});

Deno.test("batch statistics are not measured on a batch of a single image", () => {
  for (const [batchSize, batches] of [[TRAINING - 1, 1], [TRAINING - 2, 2]] as const) {
    let asked = 0;
    trainEpoch(
      input({ spec: spec({ batchSize }) }),
      { ...quiet, cancelled: () => asked++ < 0 },
      () => void (asked = 0),
    );
    expect(asked).toBe(batches);
  }
});

Deno.test("a loss that is no longer finite ends the epoch with advice", () => {
  const before = tf.memory().numTensors;
  const wild = () => trainEpoch(input({ spec: spec({ learningRate: 1e20 }) }), quiet);
  expect(wild).toThrow(/diverged in epoch 1, batch \d+.*smaller learningRate/);
  expect(wild).toThrow(expect.objectContaining({ _tag: "TrainingError", retryable: false }));
  expect(tf.memory().numTensors).toBe(before);
});

Deno.test("GS-TRS: the head tells classes apart, the triplets sub-classes", () => {
  const gsTrs = { spec: spec({ method: "gs-trs" }), labels: split(data(), [0, 5]) };
  const { state, history } = run(5, gsTrs);
  expect(state.head.rows).toEqual([{ class: 0, id: 0 }, { class: 1, id: 0 }]);
  expect(history[0]).toMatchObject({ subclasses: 3, images: TRAINING });
  expect(history.at(-1)!.triplet!).toBeLessThan(history[0]!.triplet!);
  expect(accuracy(state, data())).toBeGreaterThan(0.9);
});

Deno.test("every miner and the grouped batches train", () => {
  for (const mining of ["batch-hard", "semi-hard", "all"] as const) {
    const { state, history } = run(4, {
      spec: spec({ mining, sampling: "grouped", imagesPerClass: 4 }),
    });
    expect(history[0]!.images).toBeGreaterThanOrEqual(TRAINING);
    expect(history.at(-1)!.triplet!).toBeLessThan(history[0]!.triplet!);
    expect(accuracy(state, data())).toBeGreaterThan(0.8);
  }
});

Deno.test("the learning rate stays, or falls along a cosine to 0", () => {
  const at = (schedule: "constant" | "cosine", done: number) =>
    learningRateAt({ learningRate: 0.1, schedule, epochs: 8 }, done);
  expect([0, 3.7, 8].map((done) => at("constant", done))).toEqual([0.1, 0.1, 0.1]);
  // Loshchilov & Hutter 2017, equation 5, with a least rate of 0
  const expected = [0.1, 0.1 * (1 + Math.SQRT1_2) / 2, 0.05, 0];
  [0, 2, 4, 8].forEach((done, i) => expect(at("cosine", done)).toBeCloseTo(expected[i]!, 12));
});

Deno.test("frozen stages stay as they are, weights and statistics, and the others learn", () => {
  const frozenSpec = spec({ freeze: "stage1", method: "standard" });
  const start = newCheckpoint({ ...frozenSpec, fold: 0, pretrained: madeUpWeights("small", "keras") });
  const { state } = trainEpoch(input({ spec: frozenSpec, start }), quiet);
  expect(state.frozen).toEqual(start.frozen);
  expect([...state.statistics.keys()].sort()).toEqual([...start.statistics.keys()].sort());
  for (const [name, { values }] of state.statistics) {
    const same = start.statistics.get(name)!.values.every((value, i) => value === values[i]);
    expect([name, same]).toEqual([name, /^(stem|stage1)_/.test(name)]);
  }
  for (const [name, { value }] of state.parameters) {
    expect([name, value.some((v, i) => v !== start.parameters.get(name)!.value[i])]).toEqual([name, true]);
  }
});

Deno.test("a frozen backbone's views: a random one for each image and step, the same for a seed; sizes beside them", () => {
  const runSpec = spec({ freeze: "backbone", views: 4, sizeFeatures: true, method: "standard" });
  const pretrained = madeUpWeights("small", "keras");
  const { inputs, ...rest } = data();
  const all = viewFeatures({ pretrained, images: inputs as Images }, 4, quiet);
  const image = Uint32Array.from({ length: COUNT }, (_, i) => i);
  const mean = Float32Array.from({ length: COUNT * 64 }, (_, i) => {
    const at = Math.floor(i / 64) * 256 + i % 64;
    return [0, 64, 128, 192].reduce((sum, view) => sum + all[at + view]!, 0) / 4;
  });
  const sizes = Float32Array.from({ length: COUNT * 3 }, (_, i) => (i * 7) % 10);
  const sizeScaling = sizeScalingOf(sizes, rest.split.train);
  const start = newCheckpoint({ ...runSpec, fold: 0, pretrained, sizeScaling });
  const epochOf = (values: Float16Array, changed: Partial<RunSpec> = {}, seen = sizes) => {
    const features = { image, values: mean, dimension: 64, each: { views: 4, values } };
    const of = { ...rest, inputs: features, sizes: seen };
    return trainEpoch(input({ spec: { ...runSpec, ...changed }, data: of, start }), quiet).state;
  };
  const kernel = (state: TrainingState) => state.parameters.get("embedding/kernel")!.value;
  const before = tf.memory().numTensors;
  const once = epochOf(all);
  expect(tf.memory().numTensors).toBe(before);
  expect(kernel(epochOf(all))).toEqual(kernel(once));
  expect(kernel(epochOf(all, { seed: 5 }))).not.toEqual(kernel(once));
  // every view is used, whatever the other three are; so are the sizes
  for (const view of [0, 1, 2, 3]) {
    const other = all.map((value, i) => Math.floor(i / 64) % 4 === view ? value + 1 : value);
    expect(kernel(epochOf(other))).not.toEqual(kernel(once));
  }
  expect(kernel(epochOf(all, {}, sizes.map((value, i) => (value * i) % 10)))).not.toEqual(kernel(once));
  // the mean over the views is for everything but training
  const features = { image, values: mean, dimension: 64, each: { views: 4, values: all } };
  const probability = (inputs: FrozenFeatures) =>
    classify({ checkpoint: once, inputs, sizes, indices: rest.split.test }, quiet);
  expect(probability(features)).toEqual(probability({ image, values: mean, dimension: 64 }));
});

Deno.test("with a frozen backbone an epoch takes its features for the images", () => {
  const frozenSpec = spec({ freeze: "backbone" });
  const pretrained = madeUpWeights("small", "keras");
  const { inputs, ...rest } = data();
  const values = backboneFeatures({ pretrained, images: inputs as Images }, quiet);
  const features = { image: Uint32Array.from({ length: COUNT }, (_, i) => i), values, dimension: 64 };
  const frozen = { spec: frozenSpec, data: { ...rest, inputs: features } };
  const before = tf.memory().numTensors;
  const { state, history } = run(6, {
    ...frozen,
    start: newCheckpoint({ ...frozenSpec, fold: 0, pretrained }),
  });
  expect(tf.memory().numTensors).toBe(before);
  expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss / 2);
  expect([...state.parameters.keys()]).toEqual(["embedding/kernel", "embedding/bias"]);
  expect(state.statistics.size + state.frozen.size).toBe(0);
  const probability = classify({ checkpoint: state, inputs: features, indices: rest.split.test }, quiet);
  expect(probability).toHaveLength(2 * rest.split.test.length);
});
