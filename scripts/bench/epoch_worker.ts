// The trainer's own epoch on random numbers: of images (`small`, 64×64, turned and mirrored), or of a frozen EfficientNet-B0's
// features. A message trains the first epoch; the answer is the seconds of all of it, and those that its steps took and waited.
import { RunRequest, type RunSpec, specOf } from "@subtaxa/contracts";
import { firstCheckpoint, type Inputs } from "@subtaxa/model";
import { random } from "@subtaxa/random";
import { trainEpoch } from "../../services/trainer/mod.ts";

export type Kind = "images" | "features";

export interface EpochSeconds {
  readonly epoch: number;
  readonly steps: number;
  readonly waiting: number;
}

const batchSize = 128;
const draw = random(1);

const specFor = (settings: Partial<RunSpec>, classes: number): RunSpec => ({
  ...specOf(RunRequest.parse({ dataset: "noise", method: "standard", batchSize, sizeFeatures: false }), {
    classes: Array.from({ length: classes }, (_, c) => `class ${c}`),
    manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 },
  }),
  ...settings,
});

const kinds: Record<Kind, () => { readonly spec: RunSpec; readonly inputs: Inputs; readonly count: number }> =
  {
    images: () => {
      const [side, channels, count] = [64, 3, 20 * batchSize] as const;
      const pixels = Uint8Array.from({ length: count * side * side * channels }, () => draw.integer(256));
      return {
        spec: specFor({ backbone: "small", imageSize: side, augmentation: "flip-rotate" }, 2),
        inputs: { pixels, side, channels, count },
        count,
      };
    },
    features: () => {
      const [dimension, count] = [1280, 5_000] as const;
      return {
        spec: specFor({ backbone: "efficientnet-b0", freeze: "backbone" }, 14),
        inputs: {
          image: Uint32Array.from({ length: count }, (_, i) => i),
          values: Float32Array.from({ length: count * dimension }, () => draw.next()),
          dimension,
        },
        count,
      };
    },
  };

const epochOf = (kind: Kind) => {
  const { spec, inputs, count } = kinds[kind]();
  const train = Uint32Array.from({ length: count }, (_, i) => i);
  const split = { train, validation: train.subarray(0, 1), test: train.subarray(0, 1) };
  const data = { inputs, classOf: Uint16Array.from(train, (i) => i % spec.classes.length), split };
  const start = firstCheckpoint(spec, 0, null);
  const quiet = { cancelled: () => false, progress: () => {} };
  return (): EpochSeconds => {
    const began = performance.now();
    const { seconds } = trainEpoch({ spec, fold: 0, epoch: 1, data, start, labels: null }, quiet);
    return { epoch: (performance.now() - began) / 1000, ...seconds };
  };
};

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Kind>) => void;
  postMessage: (answer: EpochSeconds) => void;
};

let epoch: (() => EpochSeconds) | undefined;
scope.onmessage = ({ data }) => scope.postMessage((epoch ??= epochOf(data))());
