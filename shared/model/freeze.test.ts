import { Backbone, frozenStages, stagesOf } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import {
  backboneFeatures,
  type Checkpoint,
  decodeCheckpoint,
  embed,
  encodeCheckpoint,
  encodeOptimizer,
  networks,
  newCheckpoint,
  withOptimizer,
} from "./mod.ts";
import { madeUpWeights } from "./testing.ts";

const side = 32;
const quiet = { cancelled: () => false, progress: () => {} };
const images: Images = {
  side,
  channels: 1,
  count: 7,
  pixels: Uint8Array.from({ length: 7 * side * side }, (_, i) => (i * i * 31) % 251),
};
const model = { imageSize: side, classes: ["a", "b"], seed: 3, fold: 0 } as const;

Deno.test("every layer of every network belongs to one of its stages, in their order", () => {
  for (const backbone of Backbone.options) {
    const names = [...newCheckpoint({ ...model, backbone }).parameters.keys()]
      .filter((name) => !name.startsWith("embedding/"));
    const stages: readonly string[] = stagesOf[backbone];
    const of = names.map((name) => stages.flatMap((stage, i) => name.startsWith(stage) ? [i] : []));
    expect(of.every(({ length }) => length === 1)).toBe(true);
    expect(of.flat()).toEqual(of.flat().toSorted((a, b) => a - b));
    expect(new Set(of.flat()).size).toBe(stages.length);
  }
  expect(frozenStages("small", "stage1")).toEqual(["stem", "stage1"]);
  expect(frozenStages("small", "conv1")).toBeUndefined();
});

Deno.test("frozen stages keep the pretrained weights, the others start from them, and a file holds both", () => {
  const pretrained = madeUpWeights("small", "keras");
  const start = newCheckpoint({ ...model, backbone: "small", freeze: "stage1", pretrained });
  expect([...start.frozen.keys()].every((name) => /^(stem|stage1)_/.test(name))).toBe(true);
  expect([...start.parameters.keys()].some((name) => /^(stem|stage1)_/.test(name))).toBe(false);
  const both = new Map([
    ...start.frozen,
    ...[...start.parameters].map(([name, p]) => [name, { ...p, values: p.value }] as const),
  ]);
  for (const [name, { values }] of pretrained.parameters) expect(both.get(name)!.values).toEqual(values);
  expect(start.statistics).toEqual(pretrained.statistics);
  const again = decodeCheckpoint(encodeCheckpoint(start), "again");
  expect(withOptimizer(again, encodeOptimizer(start), "again")).toEqual(start);
});

for (const [backbone, convention] of [["small", "keras"], ["resnet50", "torch"]] as const) {
  Deno.test(`${backbone}: features of a frozen backbone stand for the images`, () => {
    const pretrained = madeUpWeights(backbone, convention);
    const before = tf.memory().numTensors;
    const values = backboneFeatures({ pretrained, images }, quiet);
    expect(tf.memory().numTensors).toBe(before);
    const dimension = networks[backbone].features;
    expect(values).toHaveLength(images.count * dimension);

    const whole = newCheckpoint({ ...model, backbone, pretrained });
    const frozen = newCheckpoint({ ...model, backbone, freeze: "backbone", pretrained });
    expect([...frozen.parameters.keys()]).toEqual(["embedding/kernel", "embedding/bias"]);
    const embedding = [...frozen.parameters.keys()].map((name) =>
      [name, whole.parameters.get(name)!] as const
    );
    const same: Checkpoint = { ...frozen, parameters: new Map(embedding) };
    const features = { image: Uint32Array.from({ length: images.count }, (_, i) => i), values, dimension };
    const indices = [6, 0, 3];
    const [fromImages, fromFeatures] = [
      embed({ checkpoint: whole, inputs: images, indices }, quiet),
      embed({ checkpoint: same, inputs: features, indices }, quiet),
    ];
    const scale = Math.hypot(...fromImages) / Math.sqrt(fromImages.length);
    fromImages.forEach((value, i) => expect(Math.abs(value - fromFeatures[i]!)).toBeLessThan(1e-4 * scale));
  });
}
