/** Small models and datasets for tests, in this folder and in the services that work with models. */
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { type Backbone, RunRequest, specOf } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { tf } from "@subtaxa/tensorflow";
import type { Rank, Tensor4D } from "@tensorflow/tfjs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { TrainingState } from "./checkpoint.ts";
import { type Convention, Layers } from "./layers.ts";
import { newCheckpoint } from "./model.ts";
import { networks } from "./networks.ts";
import type { Pretrained } from "./pretrained/mod.ts";
import type { RunDataInput } from "./run_data.ts";
import { measuring } from "./scopes.ts";

const offsetAndScale = (name: string, shape: readonly number[]): [number, number] => {
  if (name === "embedding/kernel") return [0, 0.2];
  if (name.endsWith("/kernel")) return [0, Math.sqrt(4 / (shape[0]! * shape[1]! * shape[2]!))];
  return name.endsWith("/gamma") ? [1, 0.2] : [0, 0.1];
};

/** The model of scripts/fixtures/model_small.py: 16 pixels, five classes, weights by formula. */
export const formulaCheckpoint = (): TrainingState => {
  const classes = Array.from({ length: 5 }, (_, c) => `class ${c}`);
  const checkpoint = newCheckpoint({ backbone: "small", imageSize: 16, classes, seed: 1, fold: 0 });
  [...checkpoint.parameters].forEach(([name, { shape, value }], index) => {
    const [offset, scale] = offsetAndScale(name, shape);
    value.forEach((_, i) => value[i] = offset + scale * Math.sin(0.7 * i + 0.001 * i * i + index));
  });
  const { kernel, bias } = checkpoint.head;
  kernel.value.forEach((_, i) => kernel.value[i] = 0.1 * Math.sin(0.3 * i));
  bias.value.forEach((_, r) => bias.value[r] = 0.1 * Math.cos(r));
  return checkpoint;
};

/** The six images of scripts/fixtures/model_small.py. */
export const formulaImages = (): Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: 6 * 16 * 16 * 3 }, (_, i) => Math.sin(0.05 * i + 0.00001 * i * i)),
    [6, 16, 16, 3],
  );

const SIDE = 16;

/**
 * Grey 16-pixel images of noisy stripes. Image i is of class i mod 2: lying stripes, standing ones. The standing ones come
 * in two views: wide where i mod 4 = 3, narrow otherwise.
 */
export const stripes = (count: number): { pixels: Uint8Array<ArrayBuffer>; classOf: Uint16Array } => {
  const noise = random(11);
  const classOf = Uint16Array.from({ length: count }, (_, image) => image % 2);
  const pixels = Uint8Array.from({ length: count * SIDE * SIDE }, (_, i) => {
    const image = Math.floor(i / (SIDE * SIDE));
    const [y, x] = [Math.floor(i / SIDE) % SIDE, i % SIDE];
    const period = image % 4 === 3 ? 8 : 4;
    const bright = (classOf[image] === 0 ? y : x) % period < period / 2;
    return (bright ? 160 : 90) + 20 * noise.next();
  });
  return { pixels, classOf };
};

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Writes `count` images of stripes as an imported dataset below `folder`, with the specification of a run on it. */
export const stripesOnDisk = async (folder: string, count: number): Promise<RunDataInput> => {
  const { pixels, classOf } = stripes(count);
  const classes = ["lying", "standing"];
  const size = SIDE * SIDE;
  const { manifest: made, shards } = datasetAtRest({
    name: "stripes",
    classes,
    images: Array.from(classOf, (classIndex, i) => ({
      path: `${classes[classIndex]}/${i}.png`,
      class: classIndex,
      side: SIDE,
      data: pixels.subarray(i * size, (i + 1) * size),
    })),
  });
  // as if they had been larger, of many sizes, lying and standing
  const images = made.images.map((image, i) => ({
    ...image,
    width: 40 + 7 * (i % 11),
    height: 60 + 5 * (i % 13),
  }));
  const manifest = { ...made, images, pixelSize: 2.5 };
  const [manifestFile, shardFile] = [join(folder, "manifest.json"), join(folder, "shard")];
  const json = new TextEncoder().encode(JSON.stringify(manifest));
  await Deno.writeFile(manifestFile, json);
  await Deno.writeFile(shardFile, shards[0]!);
  const spec = specOf(
    RunRequest.parse({ dataset: "stripes", imageSize: SIDE, batchSize: 16, sizeFeatures: false }),
    {
      classes,
      manifest: { key: "manifest", sha256: hashOf(json), bytes: json.length },
    },
  );
  const files = {
    manifestFile,
    shardFiles: [shardFile],
    cacheFolder: join(folder, "cache"),
    frozenFile: null,
  };
  return { spec, fold: 0, ...files };
};

/** An untrained model for that run, with statistics that leave everything as it is, so that it can be used for inference. */
export const untrainedCheckpoint = ({ spec, fold }: RunDataInput): TrainingState => {
  const start = newCheckpoint({ ...spec, fold, pretrained: null });
  const statistics = [...start.parameters].filter(([name]) => name.endsWith("/gamma")).flatMap(
    ([name, { shape, value }]) => {
      const layer = name.slice(0, -"/gamma".length);
      return [
        [`${layer}/moving_mean`, { shape, values: value.map(() => 0) }] as const,
        [`${layer}/moving_variance`, { shape, values: value.map(() => 1) }] as const,
      ];
    },
  );
  return { ...start, epoch: 1, statistics: new Map(statistics) };
};

/** Weights that could have been trained elsewhere: random ones, with the statistics of random images. */
export const madeUpWeights = (backbone: Backbone, convention: Convention): Pretrained => {
  const side = 32;
  const untrained = newCheckpoint({ backbone, imageSize: side, classes: ["a", "b"], seed: 3, fold: 0 });
  const parameters = new Map(
    [...untrained.parameters].filter(([name]) => !name.startsWith("embedding/"))
      .map(([name, { shape, value }]) => [name, { shape, values: value }] as const),
  );
  const tensors = new Map(
    [...parameters].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])] as const),
  );
  const { scope, statistics } = measuring(tensors);
  const x = tf.randomUniform<Rank.R4>([8, side, side, 3], -1, 1, "float32", 1);
  tf.tidy(() => void networks[backbone].pooled(new Layers(scope, convention), x));
  tf.dispose([...tensors.values(), x]);
  const { preprocessing } = untrained;
  return { backbone, convention, preprocessing, parameters, statistics: statistics() };
};
