import type { Backbone } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import { sparseSoftmaxCrossEntropy, tf } from "@subtaxa/tensorflow";
import type { Scalar, Tensor, Tensor2D, Tensor4D, Variable } from "@tensorflow/tfjs";
import { expect } from "expect";
import efficientnet from "./fixtures/efficientnet-b0.json" with { type: "json" };
import resnet from "./fixtures/resnet50.json" with { type: "json" };
import { imageTensor, InferenceScope, Layers, measuring, networks, newCheckpoint, training } from "./mod.ts";
import type { Scope } from "./layers.ts";

// Everything is as in scripts/fixtures/model_keras.py.

/** Relative, of single-precision figures to Keras' in double precision. */
const TOLERANCE = 1e-4;
const [COUNT, SIDE, CLASSES] = [4, 64, 5];
const LABELS = [0, 3, 1, 4];

/** Pseudo-random 32-bit numbers that depend on the name (FNV-1a) and the position. */
const wordsOf = (name: string) => {
  let seed = 2166136261;
  for (const letter of new TextEncoder().encode(name)) seed = Math.imul(seed ^ letter, 16777619);
  return (i: number): number => {
    let h = Math.imul(i, 2654435761) ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (h ^ (h >>> 16)) >>> 0;
  };
};

const kernelScale = (name: string, shape: readonly number[]): number => {
  const [height, width, channels, filters] = shape;
  if (name === "head/kernel") return 0.1 * Math.sqrt(3 / width!);
  if (filters === undefined) return Math.sqrt(3 / height!);
  return Math.sqrt(6 / (height! * width! * (filters === 1 ? 1 : channels!)));
};

/** From a number between −1 and 1 to the value. */
const scaling = (name: string, shape: readonly number[], kinks: boolean): (u: number) => number => {
  const branch = /_(3|project)_bn\//.test(name) ? 0.25 : 1;
  if (name.endsWith("/gamma")) return (u) => branch * (1 + 0.2 * u);
  if (name.endsWith("/beta")) return (u) => branch * (kinks ? u + 2 * Math.sign(u) : 0.3 * u + 0.5);
  if (name.endsWith("/bias")) return (u) => 0.1 * u;
  const scale = kernelScale(name, shape);
  return (u) => scale * u;
};

const formula = (name: string, shape: readonly number[], kinks: boolean): Float32Array => {
  const [scaled, word] = [scaling(name, shape, kinks), wordsOf(name)];
  const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
  for (let i = 0; i < values.length; i++) values[i] = scaled(word(i) / 2 ** 31 - 1);
  return values;
};

const images = (): Images => {
  const noise = wordsOf("pixels");
  const pixels = Uint8Array.from({ length: COUNT * SIDE * SIDE * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % SIDE, Math.floor(i / (3 * SIDE)) % SIDE];
    const image = Math.floor(i / (3 * SIDE * SIDE));
    return 127 * (((x >> (image + 1)) + (y >> 3) + c) & 1) + (noise(i) >>> 25);
  });
  return { pixels, side: SIDE, channels: 3, count: COUNT };
};

/** Expects values of the given norm and product with a pseudo-random vector, within the tolerance times `size`. */
const expectLike = (what: string, values: Float32Array, [norm, projection]: number[], size = norm!) => {
  const word = wordsOf("projection");
  let [square, product] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    square += values[i]! ** 2;
    product += values[i]! * (word(i) / 2 ** 31 - 1);
  }
  const error = Math.max(Math.abs(Math.sqrt(square) - norm!), Math.abs(product - projection!)) / size;
  if (!(error < TOLERANCE)) throw new Error(`${what} is off by ${error.toExponential(1)}`);
};

type Fixture = typeof resnet;
type Named = ReadonlyMap<string, Variable>;

const variablesOf = (shapes: ReadonlyMap<string, readonly number[]>, kinks: boolean): Named =>
  new Map(
    [...shapes].map(([name, shape]) =>
      [
        name,
        tf.tidy(() => tf.variable(tf.tensor(formula(name, shape, kinks), [...shape]), true, name)),
      ] as const
    ),
  );

interface Outputs {
  readonly loss: Scalar;
  readonly embeddings: Tensor2D;
  readonly logits: Tensor2D;
}

type Gradients = Readonly<Record<string, Tensor>>;

/** Loss, logits and embeddings. */
const outputsOf = (backbone: Backbone, scope: Scope, variables: Named, x: Tensor4D): Outputs => {
  const [kernel, bias] = [variables.get("head/kernel")!, variables.get("head/bias")!];
  const embeddings = networks[backbone].forward(new Layers(scope), { x });
  const logits = tf.add<Tensor2D>(tf.matMul(embeddings, kernel as Tensor2D, false, true), bias);
  const loss = tf.mean<Scalar>(sparseSoftmaxCrossEntropy(logits, tf.tensor1d(LABELS, "int32")));
  return { loss, embeddings, logits };
};

const expectOutputs = (
  fixture: Fixture,
  mode: "training" | "inference",
  { loss, embeddings, logits }: Outputs,
) => {
  const wanted = fixture[mode];
  expect(Math.abs(loss.dataSync()[0]! / wanted.loss - 1)).toBeLessThan(TOLERANCE);
  const values = logits.dataSync();
  const difference = Math.hypot(...wanted.logits.map((logit, i) => values[i]! - logit));
  expect(difference / Math.hypot(...wanted.logits)).toBeLessThan(TOLERANCE);
  tf.unstack(embeddings).forEach((embedding, n) =>
    expectLike(`embedding ${n}`, embedding.dataSync<"float32">(), wanted.embeddings[n]!)
  );
};

const expectGradients = (fixture: Fixture, grads: Gradients) => {
  const left = new Set(Object.keys(grads));
  for (const [name, { training }] of Object.entries(fixture.parameters)) {
    // What a following normalisation takes out again has no gradient but rounding, next to nothing of its layer's.
    const layer = name.slice(0, name.indexOf("/") + 1);
    const norms = Object.entries(fixture.parameters).filter(([other]) => other.startsWith(layer))
      .map(([, other]) => other.training[0]!);
    const largest = Math.max(...norms);
    const vanishes = training[0]! < 1e-9 * largest;
    expect(`${name} ${left.delete(name) || vanishes}`).toBe(`${name} true`);
    const gradient = grads[name]?.dataSync<"float32">() ?? new Float32Array(1);
    expectLike(`gradient of ${name}`, gradient, training, vanishes ? largest : training[0]!);
  }
  expect([...left]).toEqual([]);
};

const fixtures: [Backbone, Fixture, number, boolean][] = [
  ["resnet50", resnet, 23_534_592, true],
  ["efficientnet-b0", efficientnet as unknown as Fixture, 4_007_548, false],
];

for (const [backbone, fixture, count, kinks] of fixtures) {
  Deno.test(`${backbone} is Keras': parameters, preprocessing, statistics, both modes' outputs and gradients`, async (t) => {
    const before = tf.memory().numTensors;
    const start = newCheckpoint({
      backbone,
      imageSize: SIDE,
      classes: Array.from({ length: CLASSES }, (_, c) => `class ${c}`),
      seed: 1,
      fold: 0,
    });
    const shapes = new Map([...start.parameters].map(([name, { shape }]) => [name, shape] as const));
    const backboneSize = [...start.parameters].filter(([name]) => !name.startsWith("embedding/"))
      .reduce((sum, [, { value }]) => sum + value.length, 0);
    shapes.set("head/kernel", [CLASSES, start.head.width]).set("head/bias", [CLASSES]);

    await t.step("names, shapes and number of parameters", () => {
      const wanted = Object.entries(fixture.parameters).map(([name, { shape }]) => [name, shape]);
      expect(Object.fromEntries(shapes)).toEqual(Object.fromEntries(wanted));
      expect([backboneSize, fixture.backboneParameters]).toEqual([count, count]);
    });

    const x = imageTensor(images(), [0, 1, 2, 3], start.preprocessing);
    await t.step("preprocessing", () => {
      const values = x.dataSync<"float32">();
      expectLike("the images", values, fixture.images);
      fixture.pixel.forEach((value, c) => expect(values[c]).toBeCloseTo(value, 3));
    });

    const variables = variablesOf(shapes, kinks);
    await t.step("training", () => {
      let outputs: Outputs | undefined;
      const { value, grads } = tf.variableGrads(() => {
        outputs = outputsOf(backbone, training(variables), variables, x);
        tf.keep(outputs.embeddings);
        tf.keep(outputs.logits);
        return outputs.loss;
      }, [...variables.values()]);
      tf.tidy(() => {
        expectOutputs(fixture, "training", { ...outputs!, loss: value });
        expectGradients(fixture, grads);
      });
      tf.dispose([value, outputs!.embeddings, outputs!.logits, ...Object.values(grads)]);
    });

    const { scope, statistics } = measuring(variables);
    await t.step("statistics over two batches", () => {
      tf.tidy(() => {
        for (const half of tf.split(x, 2)) {
          networks[backbone].forward(new Layers(scope), { x: half as Tensor4D });
        }
      });
      const measured = statistics();
      expect([...measured.keys()].sort()).toEqual(Object.keys(fixture.statistics).sort());
      for (const [name, wanted] of Object.entries(fixture.statistics)) {
        expectLike(name, measured.get(name)!.values, wanted);
      }
    });

    await t.step("inference", () => {
      const measured = new Map(
        [...statistics()].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])] as const),
      );
      const scope = new InferenceScope(variables, measured);
      // The second time with what was folded the first time.
      for (const _ of [1, 2]) {
        tf.tidy(() => expectOutputs(fixture, "inference", outputsOf(backbone, scope, variables, x)));
      }
      scope.dispose();
      tf.dispose([...measured.values()]);
    });

    await t.step("no tensor is left behind", () => {
      tf.dispose([x, ...variables.values()]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}
