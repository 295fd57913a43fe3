import type { ClassState, Features, Labels } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { Result } from "effect";
import { expect } from "expect";
import { kMeans } from "./search.ts";
import { generatePseudoLabels, type PseudoLabelInput } from "./pseudo_labels.ts";
import type { Divide } from "./relabel.ts";

const dimension = 8;
const spec = { seed: 7, normalisation: "none" } as const;

/** Two clusters where they explain nearly all of the spread, and one otherwise. */
const divide: Divide = (points, most, random) => {
  const [one, two] = [1, Math.min(2, most)].map((k) => kMeans(points, k, { random }));
  return two!.sse < 0.3 * one!.sse ? two! : one!;
};

/**
 * Images of three classes in turn. Those of class 0 form two far groups (by `image % 2`), those of class 1 one; class 2
 * isn't in the features. Every fourth image is held out.
 */
const count = 360;
const classOf = Uint16Array.from({ length: count }, (_, image) => image % 3);
const train = Uint32Array.from({ length: count }, (_, image) => image).filter((image) =>
  Math.floor(image / 3) % 4 > 0
);
const features = (seed = 1): Features => {
  const image = train.filter((image) => classOf[image]! < 2);
  const draw = random(seed);
  const values = new Float32Array(image.length * dimension);
  image.forEach((index, row) => {
    for (let d = 0; d < dimension; d++) {
      const centre = classOf[index] === 0 && d === 0 ? 20 * (index % 2) : 0;
      values[row * dimension + d] = centre + draw.normal();
    }
  });
  return { image, values, dimension };
};
const state = (name: string, allowedClusters: number, clusters = 1): ClassState => ({
  name,
  allowedClusters,
  flag: 0,
  clusters,
});
const classes = [state("two", 3), state("one", 3), state("apart", 1)];
const input: Omit<PseudoLabelInput, "features"> = {
  spec,
  fold: 0,
  epoch: 1,
  classes,
  images: { image: train, class: Uint16Array.from(train, (image) => classOf[image]!) },
  previous: null,
};
const generate = (changed: Partial<PseudoLabelInput> = {}) =>
  Result.getOrThrow(generatePseudoLabels({ ...input, features: features(), ...changed }, divide));

/** Every image that has a pseudo-label, by class and sub-class. */
const groups = ({ image, class: ofClass, cluster }: Labels) =>
  Map.groupBy(image.keys(), (row) => `${ofClass[row]}/${cluster[row]}`);

Deno.test("a class with two groups is split along them, the others stay whole", () => {
  const done: number[] = [];
  const { labels, classes, changes, agreement } = Result.getOrThrow(
    generatePseudoLabels(
      { ...input, features: features() },
      divide,
      (classesDone) => done.push(classesDone),
    ),
  );
  expect(done).toEqual([1, 2, 3]);
  expect(labels.image).toEqual(train);
  expect(labels.class).toEqual(Uint16Array.from(train, (image) => classOf[image]!));
  expect(classes.map(({ clusters }) => clusters)).toEqual([2, 1, 1]);
  expect(changes).toEqual([{ class: "two", from: 1, to: 2 }]);
  expect(labels.subclasses).toEqual([
    { class: 0, id: 0, from: 0 },
    { class: 0, id: 1, from: 0 },
    { class: 1, id: 0, from: 0 },
    { class: 2, id: 0, from: 0 },
  ]);
  expect(labels.highestIds).toEqual([1, 0, 0]);
  for (const [name, rows] of groups(labels)) {
    if (!name.startsWith("0/")) continue;
    const parities = new Set(rows.map((row) => labels.image[row]! % 2));
    expect(parities.size).toBe(1);
  }
  expect(labels.distance.every((distance, row) => (labels.class[row] === 0) === (distance > 0))).toBe(true);
  expect(agreement).toBeGreaterThan(0.5);
  expect(agreement).toBeLessThan(1);
});

Deno.test("the next epoch's sub-classes keep their ids, whatever the order in which they are found", () => {
  const first = generate();
  const second = generate({
    epoch: 2,
    features: features(2),
    previous: first.labels,
    classes: first.classes,
  });
  expect(second.labels.cluster).toEqual(first.labels.cluster);
  expect(second.agreement).toBeCloseTo(1, 12);
  expect(second.changes).toEqual([]);
});

Deno.test("a class that must be whole again keeps the larger part's id, and a later split gets a fresh one", () => {
  const first = generate();
  const merged = generate({
    previous: first.labels,
    classes: first.classes.map((state) => ({ ...state, allowedClusters: 1 })),
    features: { image: new Uint32Array(), values: new Float32Array(), dimension },
  });
  expect(merged.changes).toEqual([{ class: "two", from: 2, to: 1 }]);
  const [kept] = merged.labels.subclasses;
  expect(kept!.from).toBe(kept!.id);
  expect(merged.labels.distance.every((distance) => distance === 0)).toBe(true);
  const again = generate({ previous: merged.labels, classes });
  const ids = again.labels.subclasses.filter((subclass) => subclass.class === 0);
  expect(ids).toEqual([
    { class: 0, id: kept!.id, from: kept!.id },
    { class: 0, id: 2, from: kept!.id },
  ]);
});

Deno.test("a needed image without an embedding is a typed error that names both", () => {
  const result = generatePseudoLabels(
    { ...input, features: features(), classes: [...classes.slice(0, 2), state("apart", 2)] },
    divide,
  );
  if (Result.isSuccess(result)) throw new Error("class 2 has no embeddings");
  expect(result.failure).toMatchObject({
    _tag: "ClusteringError",
    reason: { _tag: "MissingFeatures", class: "apart", image: train.find((image) => classOf[image] === 2) },
    retryable: false,
  });
});

Deno.test("the order of the features' rows, and rows that nobody asks for, change nothing", () => {
  const { image, values } = features();
  const others = Array.from({ length: 40 }, (_, i) => count + i);
  const order = random(9).shuffle(Uint32Array.from({ length: image.length + others.length }, (_, i) => i));
  const shuffled = {
    image: order.map((row) => image[row] ?? others[row - image.length]!),
    values: Float32Array.from(
      { length: order.length * dimension },
      (_, i) => values[order[Math.floor(i / dimension)]! * dimension + i % dimension] ?? NaN,
    ),
    dimension,
  };
  for (const normalisation of ["none", "l2"] as const) {
    const changed = { spec: { ...spec, normalisation } };
    expect(generate({ ...changed, features: copyOf(shuffled) }))
      .toEqual(generate(changed));
  }
});

const copyOf = (one: Features): Features => ({ ...one, values: one.values.slice() });

Deno.test("a class is divided in the memory that its features have", () => {
  const given = features();
  const seen: ArrayBufferLike[] = [];
  generatePseudoLabels({ ...input, features: given }, (points, most, random) => {
    seen.push(points.values.buffer);
    return divide(points, most, random);
  });
  expect(seen.length).toBe(2);
  for (const buffer of seen) expect(buffer).toBe(given.values.buffer);
});
