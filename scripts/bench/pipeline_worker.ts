// The trainer's own epoch on random images, `small` 64×64, batches of 128 turned and mirrored. A message gives the seconds
// of one step, and of them those in which TensorFlow has nothing to do but wait for its batch.
import { RunRequest, specOf } from "@subtaxa/contracts";
import { firstCheckpoint, inputTensor } from "@subtaxa/model";
import { random } from "@subtaxa/random";
import { trainEpoch } from "../../services/trainer/mod.ts";

export interface Waiting {
  readonly step: number;
  readonly waiting: number;
}

const [side, channels, batchSize, steps] = [64, 3, 128, 8] as const;
const count = batchSize * steps;
const spec = specOf(
  RunRequest.parse({
    ...{ dataset: "noise", method: "standard", imageSize: side, batchSize, augmentation: "flip-rotate" },
  }),
  { classes: ["a", "b"], manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 } },
);
const noise = random(1);
const images = {
  pixels: Uint8Array.from({ length: count * side * side * channels }, () => noise.integer(256)),
  ...{ side, channels, count },
};
const train = Uint32Array.from({ length: count }, (_, i) => i);
const data = {
  inputs: images,
  classOf: Uint16Array.from(train, (i) => i % 2),
  split: { train, validation: train.subarray(0, 1), test: train.subarray(0, 1) },
};
const start = firstCheckpoint(spec, 0, null);

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]! / 1000;

const stepSeconds = (): number => {
  const ends: number[] = [];
  const work = { cancelled: () => false, progress: () => void ends.push(performance.now()) };
  trainEpoch({ spec, fold: 0, epoch: 1, data, start, labels: null }, work);
  return median(ends.slice(1).map((end, i) => end - ends[i]!));
};

const waitingSeconds = (): number => {
  const augmentation = { augment: "flip-rotate", random: random(2) } as const;
  return median(Array.from({ length: steps }, (_, step) => {
    const started = performance.now();
    const batch = train.subarray(step * batchSize, (step + 1) * batchSize);
    const input = inputTensor(images, batch, start.preprocessing, augmentation);
    input.dispose();
    return performance.now() - started;
  }));
};

const scope = globalThis as unknown as {
  onmessage: () => void;
  postMessage: (answer: Waiting) => void;
};
scope.onmessage = () => scope.postMessage({ step: stepSeconds(), waiting: waitingSeconds() });
