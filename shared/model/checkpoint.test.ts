import { RunRequest, specOf } from "@subtaxa/contracts";
import { expect } from "expect";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  encodeOptimizer,
  ModelError,
  newCheckpoint,
  preprocessings,
  readSafetensors,
  requireSameRun,
  type TrainingState,
  withOptimizer,
  writeSafetensors,
} from "./mod.ts";

const trained = (): TrainingState => {
  const start = newCheckpoint({ backbone: "small", imageSize: 16, classes: ["a", "b"], seed: 5, fold: 1 });
  const parameters = [...start.parameters].map(([name, parameter]) => {
    const { value } = parameter;
    return [name, { ...parameter, first: value.map((v) => v / 3), second: value.map((v) => v * v) }] as const;
  });
  return {
    ...start,
    epoch: 7,
    steps: 231,
    parameters: new Map(parameters),
    statistics: new Map([["stem_bn/moving_mean", { shape: [2], values: Float32Array.of(0.5, -1) }]]),
    head: { ...start.head, rows: [{ class: 0, id: 3 }, { class: 1, id: 0 }], steps: Int32Array.of(231, 4) },
  };
};

Deno.test("a checkpoint and its optimizer come back as they were", () => {
  const before = trained();
  const checkpoint = decodeCheckpoint(encodeCheckpoint(before), "x");
  expect(withOptimizer(checkpoint, encodeOptimizer(before), "y")).toEqual(before);
});

Deno.test("a checkpoint holds nothing of the optimizer: as many bytes as weights, but for the description", () => {
  const { parameters, head } = trained();
  const values = [...parameters.values(), head.kernel, head.bias].reduce(
    (sum, { value }) => sum + value.length,
    2,
  );
  expect(encodeCheckpoint(trained()).length - 4 * values).toBeLessThan(8_000);
  expect(decodeCheckpoint(encodeCheckpoint(trained()), "x")).not.toHaveProperty("steps");
});

Deno.test("views and the scaling of sizes come back; a checkpoint of before there were any has one view and no sizes", () => {
  const sizeScaling = { mean: [4.5, 3.25, 1.25], deviation: [0.5, 0.1, 0] };
  const file = encodeCheckpoint({ ...trained(), views: 4, sizeScaling });
  expect(decodeCheckpoint(file, "x")).toMatchObject({ views: 4, sizeScaling });
  const { tensors, metadata } = readSafetensors(file, "x");
  const { views: _v, sizeScaling: _s, ...description } = JSON.parse(metadata.subtaxa!);
  const bytes = writeSafetensors({ tensors, metadata: { subtaxa: JSON.stringify(description) } });
  expect(decodeCheckpoint(bytes, "x")).toMatchObject({ views: 1, sizeScaling: null });
});

Deno.test("a checkpoint with one scale and offset for all colours is read", () => {
  const { tensors, metadata } = readSafetensors(encodeCheckpoint(trained()), "x");
  const description = { ...JSON.parse(metadata.subtaxa!), preprocessing: { scale: 2, offset: -1 } };
  const bytes = writeSafetensors({ tensors, metadata: { subtaxa: JSON.stringify(description) } });
  expect(decodeCheckpoint(bytes, "x").preprocessing).toEqual(preprocessings.symmetric);
});

/** The bytes of a file without a tensor, or with another description. */
const damaged = (bytes: Uint8Array, { without, change = {} }: { without?: string; change?: object }) => {
  const { tensors, metadata } = readSafetensors(bytes, "x");
  return writeSafetensors({
    tensors: new Map([...tensors].filter(([name]) => name !== without)),
    metadata: { subtaxa: JSON.stringify({ ...JSON.parse(metadata.subtaxa!), ...change }) },
  });
};

Deno.test("a damaged checkpoint is a typed error that names what is wrong", async (t) => {
  const whole = encodeCheckpoint(trained());
  const { tensors } = readSafetensors(whole, "x");
  const rows = (...of: readonly (readonly [number, number])[]) =>
    damaged(whole, { change: { rows: of.map(([c, id]) => ({ class: c, id })) } });
  const cases: [string, Uint8Array, RegExp][] = [
    ["no metadata", writeSafetensors({ tensors, metadata: {} }), /metadata are wrong/],
    ["another version", damaged(whole, { change: { v: 1 } }), /metadata are wrong/],
    ["no head", damaged(whole, { without: "model/head/bias" }), /'model\/head\/bias'/],
    ["a row too many", rows([0, 0], [0, 1], [0, 2]), /does not fit its 3 rows/],
    ["a row of no class", rows([0, 0], [2, 0]), /does not fit/],
    ["cut short", whole.subarray(0, 50_000), /safetensors/],
  ];
  for (const [name, bytes, message] of cases) {
    await t.step(name, () => {
      expect(() => decodeCheckpoint(bytes, "c.safetensors")).toThrow(ModelError);
      expect(() => decodeCheckpoint(bytes, "c.safetensors")).toThrow(message);
    });
  }
});

Deno.test("a damaged optimizer, or that of another checkpoint, is a typed error that names what is wrong", async (t) => {
  const checkpoint = decodeCheckpoint(encodeCheckpoint(trained()), "x");
  const whole = encodeOptimizer(trained());
  const cases: [string, Uint8Array, RegExp][] = [
    ["no moments", damaged(whole, { without: "adam/m/stem_conv/kernel" }), /'adam\/m\/stem_conv\/kernel'/],
    ["no step count", damaged(whole, { without: "adam/steps" }), /'adam\/steps'/],
    ["another epoch's", damaged(whole, { change: { epoch: 6 } }), /of epoch 6, the checkpoint of epoch 7/],
    ["a checkpoint", encodeCheckpoint(trained()), /'adam\/m\/stem_conv\/kernel' is missing/],
    ["cut short", whole.subarray(0, 50_000), /safetensors/],
  ];
  for (const [name, bytes, message] of cases) {
    await t.step(name, () => {
      expect(() => withOptimizer(checkpoint, bytes, "o.safetensors")).toThrow(ModelError);
      expect(() => withOptimizer(checkpoint, bytes, "o.safetensors")).toThrow(message);
    });
  }
});

Deno.test("a checkpoint of another run is refused, with what differs", () => {
  const manifest = { key: "m", sha256: "0".repeat(64), bytes: 1 };
  const spec = specOf(RunRequest.parse({ dataset: "d", imageSize: 16, sizeFeatures: false }), {
    classes: ["a", "b"],
    manifest,
  });
  requireSameRun(trained(), spec, "c");
  expect(() => requireSameRun(trained(), { ...spec, imageSize: 64 }, "c")).toThrow(
    /imageSize is 16, the run's 64/,
  );
  expect(() => requireSameRun(trained(), { ...spec, classes: ["b", "a"] }, "c")).toThrow(/classes is a,b/);
  expect(() => requireSameRun(trained(), { ...spec, views: 8 }, "c")).toThrow(/views is 1, the run's 8/);
  expect(() => requireSameRun(trained(), { ...spec, sizeFeatures: true }, "c")).toThrow(
    /sizeFeatures is false/,
  );
});
