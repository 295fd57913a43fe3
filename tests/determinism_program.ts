// Two epochs of a small run with pseudo-labels in between, from the trainer's, extractor's and clusterer's own parts. Prints
// the SHA-256 of what each step comes to; then of an epoch of what those two leave out: other losses, another network.
import { type ClassState, encodeLabels, RunRequest, type RunSpec, specOf } from "@subtaxa/contracts";
import { generatePseudoLabels } from "@subtaxa/clustering";
import { batch, split } from "@subtaxa/dataset";
import { embed, encodeCheckpoint, encodeOptimizer, firstCheckpoint } from "@subtaxa/model";
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { createHash } from "node:crypto";
import { xMeans } from "../services/clusterer/mod.ts";
import { shuffledBatches, trainEpoch } from "../services/trainer/mod.ts";

const [count, side, fold] = [160, 32, 0];
const classes = ["lying", "standing"];

/** Noisy stripes; those of the second class come in two widths. */
const classOf = Uint16Array.from({ length: count }, (_, image) => image % 2);
const noise = random(4);
const pixels = Uint8Array.from({ length: count * side * side }, (_, i) => {
  const image = Math.floor(i / side ** 2);
  const along = image % 2 === 0 ? Math.floor(i / side) % side : i % side;
  return (along % (image % 4 === 3 ? 16 : 6) < 4 ? 170 : 80) + noise.integer(60);
});
const images = { pixels, side, channels: 1, count } as const;

const spec = specOf(
  RunRequest.parse({
    dataset: "stripes",
    sizeFeatures: false,
    imageSize: side,
    batchSize: 32,
    folds: 2,
    augmentation: "flip-rotate",
  }),
  { classes, manifest: { key: "m", sha256: "0".repeat(64), bytes: 1 } },
);
const parts = split(classOf, { ...spec, fold });
const { train } = parts;
const data = { inputs: images, classOf, split: parts };
const quiet = { cancelled: () => false, progress: () => {} };

const first = trainEpoch(
  { spec, fold, epoch: 1, data, start: firstCheckpoint(spec, fold, null), labels: null },
  quiet,
);
const features = embed({ checkpoint: first.state, inputs: images, indices: train }, quiet);
const states = classes.map((name): ClassState => ({ name, allowedClusters: 3, clusters: 1, flag: 0 }));
const { labels } = Result.getOrThrow(generatePseudoLabels({
  spec,
  fold,
  epoch: 1,
  classes: states,
  images: { image: train, class: Uint16Array.from(train, (image) => classOf[image]!) },
  features: { image: train, values: features, dimension: features.length / train.length },
  previous: null,
}, (points, allowedClusters, random) => xMeans(points, { ...spec, allowedClusters, random })));
const second = trainEpoch({ spec, fold, epoch: 2, data, start: first.state, labels }, quiet);

const hashOf = (...parts: readonly Uint8Array[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const bytesOf = (values: Uint32Array | Float32Array) =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const order = shuffledBatches(train.length, spec.batchSize, random(spec.seed, fold));
const turned = batch(images, train, { augment: "flip-rotate", random: random(spec.seed, fold) });

/** Weights after one epoch with other settings, on the sub-classes found above. */
const otherwise = (settings: Partial<RunSpec>): string => {
  const other = { ...spec, ...settings };
  const { state } = trainEpoch(
    { spec: other, fold, epoch: 1, data, start: firstCheckpoint(other, fold, null), labels: null },
    quiet,
  );
  const { state: after } = trainEpoch({ spec: other, fold, epoch: 2, data, start: state, labels }, quiet);
  return hashOf(encodeCheckpoint(after), encodeOptimizer(after));
};

console.log(JSON.stringify({
  splits: hashOf(...[parts.train, parts.validation, parts.test].map(bytesOf)),
  batches: hashOf(...order.map(bytesOf), bytesOf(turned)),
  embeddings: hashOf(bytesOf(features)),
  pseudoLabels: hashOf(encodeLabels(labels)),
  weights: hashOf(encodeCheckpoint(second.state), encodeOptimizer(second.state)),
  groupSensitive: otherwise({ method: "gs-trs" }),
  semiHard: otherwise({ mining: "semi-hard" }),
  allTriplets: otherwise({ mining: "all" }),
  depthwise: otherwise({ backbone: "efficientnet-b0" }),
  subclasses: labels.subclasses.length,
}));
