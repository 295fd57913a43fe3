import { expect } from "expect";
import fc from "fast-check";
import { type Split, split } from "./mod.ts";

/** Datasets of up to 6 classes with 5 to 60 images each, mixed. */
const dataset = fc.array(fc.integer({ min: 5, max: 60 }), { minLength: 1, maxLength: 6 }).map((sizes) => {
  const classes = sizes.flatMap((size, name) => new Array<number>(size).fill(name));
  return classes.sort((a, b) => (a * 7 + 3) % 5 - (b * 7 + 3) % 5);
});
const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });

const countOf = (part: Uint32Array, classes: number[], name: number): number =>
  part.reduce((sum, image) => sum + (classes[image] === name ? 1 : 0), 0);

const expectPartition = ({ train, validation, test }: Split, images: number) => {
  for (const part of [train, validation, test]) expect([...part]).toEqual([...part].sort((a, b) => a - b));
  expect([...train, ...validation, ...test].sort((a, b) => a - b)).toEqual(
    Array.from({ length: images }, (_, i) => i),
  );
};

Deno.test("one fold: 70/10/20, within one image in every class, none empty", () => {
  fc.assert(fc.property(dataset, seed, (classes, seed) => {
    const parts = split(classes, { seed, folds: 1, fold: 0 });
    expectPartition(parts, classes.length);
    for (const name of new Set(classes)) {
      const images = classes.filter((other) => other === name).length;
      for (const [part, share] of [["train", 0.7], ["validation", 0.1], ["test", 0.2]] as const) {
        const count = countOf(parts[part], classes, name);
        expect(count).toBeGreaterThanOrEqual(1);
        expect(Math.abs(count - share * images)).toBeLessThanOrEqual(1);
      }
    }
  }));
});

Deno.test("k folds: the test sets partition the data, each stratified, an eighth of the rest validates", () => {
  fc.assert(fc.property(dataset, seed, fc.integer({ min: 2, max: 8 }), (classes, seed, folds) => {
    const all = Array.from({ length: folds }, (_, fold) => split(classes, { seed, folds, fold }));
    const tested = all.flatMap(({ test }) => [...test]).sort((a, b) => a - b);
    expect(tested).toEqual(classes.map((_, i) => i));
    const sizes = all.map(({ test }) => test.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    for (const parts of all) {
      expectPartition(parts, classes.length);
      for (const name of new Set(classes)) {
        const images = classes.filter((other) => other === name).length;
        const test = countOf(parts.test, classes, name);
        expect(Math.abs(test - images / folds)).toBeLessThan(1);
        if (images >= folds) expect(test).toBeGreaterThanOrEqual(1);
        const validation = countOf(parts.validation, classes, name);
        expect(validation).toBeGreaterThanOrEqual(1);
        expect(Math.abs(validation - (images - test) / 8)).toBeLessThan(1);
        expect(countOf(parts.train, classes, name)).toBeGreaterThanOrEqual(1);
      }
    }
  }));
});

Deno.test("the same seed gives the same split, another seed another one", () => {
  const classes = Array.from({ length: 200 }, (_, i) => i % 4);
  fc.assert(fc.property(seed, fc.integer({ min: 1, max: 5 }), (seed, folds) => {
    const parts = split(Uint16Array.from(classes), { seed, folds, fold: 0 });
    expect(split(classes, { seed, folds, fold: 0 })).toEqual(parts);
    const other = split(classes, { seed: seed + 1, folds, fold: 0 });
    expect(other.test).not.toEqual(parts.test);
    expect(other.validation).not.toEqual(parts.validation);
  }));
});

Deno.test("classes too small for every part: training first, then the test set", () => {
  const sizes = (images: number) => {
    const { train, validation, test } = split(new Uint8Array(images), { seed: 0, folds: 1, fold: 0 });
    return [train.length, validation.length, test.length];
  };
  expect([0, 1, 2, 3, 4].map(sizes)).toEqual([[0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [2, 1, 1]]);
});

Deno.test("a fold that isn't there is a RangeError", () => {
  expect(() => split([0, 1], { seed: 0, folds: 2, fold: 2 })).toThrow(RangeError);
  expect(() => split([0, 1], { seed: 0, folds: 1, fold: -1 })).toThrow(RangeError);
});
