import { expect } from "expect";
import { createHash } from "node:crypto";
import { backboneFeatures } from "../inference.ts";
import reference from "./plankton.fixture.json" with { type: "json" };
import { readPretrained } from "./read.ts";
import { loadPlankton, plankton, realWeights } from "./testing_plankton.ts";

// PyTorch's figures: scripts/fixtures/pretrained_plankton.py.

const NEIGHBOURS = 5;
const isThere = (path: string) => Deno.stat(path).then(() => true, () => false);

/** Share of images whose nearest neighbours, by Euclidean distance, are mostly of its class; ties: the first class. */
const leaveOneOut = (features: readonly Float32Array[], classOf: readonly number[]): number => {
  const correct = features.filter((own, i) => {
    const distances = features.map((other) =>
      own.reduce((sum, value, f) => sum + (value - other[f]!) ** 2, 0)
    );
    const nearest = distances.keys().toArray().filter((j) => j !== i)
      .sort((a, b) => distances[a]! - distances[b]! || a - b).slice(0, NEIGHBOURS);
    const votes = Map.groupBy(nearest, (j) => classOf[j]!);
    const [winner] = [...votes].sort(([a, ofA], [b, ofB]) => ofB.length - ofA.length || a - b)[0]!;
    return winner === classOf[i];
  });
  return correct.length / features.length;
};

Deno.test({
  name: "a real EfficientNet-B0 of PyTorch, frozen, tells real plankton apart as well as in PyTorch",
  ignore: !(await isThere(plankton)) || !(await isThere(realWeights)),
  fn: async () => {
    const pretrained = await readPretrained(realWeights, "efficientnet-b0");
    const { images, classOf } = await loadPlankton();
    expect(images.count).toBe(reference.images);
    expect(createHash("sha256").update(images.pixels).digest("hex")).toBe(reference.pixels);

    const values = backboneFeatures({ pretrained, images }, { cancelled: () => false, progress: () => {} });
    const width = values.length / images.count;
    const features = classOf.map((_, i) => values.subarray(i * width, (i + 1) * width));

    const norm = Math.hypot(...features[0]!);
    reference.norms.forEach((expected, n) =>
      expect(Math.abs(Math.hypot(...features[40 * n]!) / expected - 1)).toBeLessThan(1e-4)
    );
    reference.first.forEach((expected, f) =>
      expect(Math.abs(features[0]![f]! - expected) / norm).toBeLessThan(1e-4)
    );
    expect(Math.abs(leaveOneOut(features, classOf) - reference.accuracy)).toBeLessThanOrEqual(0.01);
  },
});
