import { RunRequest, specOf } from "@subtaxa/contracts";
import { expect } from "expect";
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  ModelError,
  newCheckpoint,
  preprocessings,
  readSafetensors,
  requireSameRun,
  writeSafetensors,
} from "./mod.ts";

const checkpoint = (): Checkpoint => {
  const start = newCheckpoint({ backbone: "small", imageSize: 16, classes: ["a", "b"], seed: 5, fold: 1 });
  return {
    ...start,
    epoch: 7,
    steps: 231,
    statistics: new Map([["stem_bn/moving_mean", { shape: [2], values: Float32Array.of(0.5, -1) }]]),
    head: { ...start.head, rows: [{ class: 0, id: 3 }, { class: 1, id: 0 }], steps: Int32Array.of(231, 4) },
  };
};

Deno.test("a checkpoint comes back as it was", () => {
  const before = checkpoint();
  expect(decodeCheckpoint(encodeCheckpoint(before), "x")).toEqual(before);
});

Deno.test("a checkpoint with one scale and offset for all colours is read", () => {
  const { tensors, metadata } = readSafetensors(encodeCheckpoint(checkpoint()), "x");
  const description = { ...JSON.parse(metadata.subtaxa!), preprocessing: { scale: 2, offset: -1 } };
  const bytes = writeSafetensors({ tensors, metadata: { subtaxa: JSON.stringify(description) } });
  expect(decodeCheckpoint(bytes, "x").preprocessing).toEqual(preprocessings.symmetric);
});

Deno.test("a damaged checkpoint is a typed error that names what is wrong", async (t) => {
  const { tensors, metadata } = readSafetensors(encodeCheckpoint(checkpoint()), "x");
  const without = (name: string) => new Map([...tensors].filter(([key]) => key !== name));
  const changed = (change: object) => ({
    subtaxa: JSON.stringify({ ...JSON.parse(metadata.subtaxa!), ...change }),
  });
  const cases: [string, Uint8Array, RegExp][] = [
    ["no metadata", writeSafetensors({ tensors, metadata: {} }), /metadata are wrong/],
    ["another version", writeSafetensors({ tensors, metadata: changed({ v: 2 }) }), /metadata are wrong/],
    [
      "no moments",
      writeSafetensors({ tensors: without("adam/m/stem_conv/kernel"), metadata }),
      /'adam\/m\/stem_conv\/kernel'/,
    ],
    ["no step count", writeSafetensors({ tensors: without("adam/steps"), metadata }), /'adam\/steps'/],
    [
      "a row too many",
      writeSafetensors({ tensors, metadata: changed({ rows: [0, 1, 2].map((id) => ({ class: 0, id })) }) }),
      /does not fit its 3 rows/,
    ],
    [
      "a row of no class",
      writeSafetensors({ tensors, metadata: changed({ rows: [0, 2].map((c) => ({ class: c, id: 0 })) }) }),
      /does not fit/,
    ],
    ["cut short", encodeCheckpoint(checkpoint()).subarray(0, 50_000), /safetensors/],
  ];
  for (const [name, bytes, message] of cases) {
    await t.step(name, () => {
      expect(() => decodeCheckpoint(bytes, "c.safetensors")).toThrow(ModelError);
      expect(() => decodeCheckpoint(bytes, "c.safetensors")).toThrow(message);
    });
  }
});

Deno.test("a checkpoint of another run is refused, with what differs", () => {
  const manifest = { key: "m", sha256: "0".repeat(64), bytes: 1 };
  const spec = specOf(RunRequest.parse({ dataset: "d", imageSize: 16 }), { classes: ["a", "b"], manifest });
  requireSameRun(checkpoint(), spec, "c");
  expect(() => requireSameRun(checkpoint(), { ...spec, imageSize: 64 }, "c")).toThrow(
    /imageSize is 16, the run's 64/,
  );
  expect(() => requireSameRun(checkpoint(), { ...spec, classes: ["b", "a"] }, "c")).toThrow(/classes is a,b/);
});
