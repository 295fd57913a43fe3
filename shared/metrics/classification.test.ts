import { expect } from "expect";
import fc from "fast-check";
import { Metrics } from "@subtaxa/contracts";
import {
  addConfusions,
  classScores,
  confusionOf,
  falseNegativesOf,
  meanMetrics,
  metricsOf,
  rowNormalise,
  summariseFolds,
} from "./classification.ts";
import fixture from "./classification.fixture.json" with { type: "json" };

const close = (actual: unknown, expected: unknown): void => {
  if (typeof expected === "number") return expect(actual).toBeCloseTo(expected, 12);
  for (const [key, value] of Object.entries(expected as Record<string, unknown>)) {
    close((actual as Record<string, unknown>)[key], value);
  }
};

for (const example of fixture.cases) {
  Deno.test(`as scikit-learn: ${example.name}`, () => {
    const confusion = confusionOf(example.true, example.predicted, example.classes);
    expect(confusion).toEqual(example.confusion);
    close(rowNormalise(confusion), example.normalised);
    close(falseNegativesOf(confusion), example.falseNegatives);
    const scores = classScores(confusion);
    for (const name of ["precision", "recall", "fScore", "support"] as const) {
      close(scores.map((score) => score[name]), example.perClass[name]);
    }
    close(metricsOf(confusion), example.metrics);
  });
}

/** Pairs of true and predicted class. */
const labelled = fc.integer({ min: 1, max: 9 }).chain((classes) =>
  fc.record({
    classes: fc.constant(classes),
    pairs: fc.array(fc.tuple(fc.nat(classes - 1), fc.nat(classes - 1)), { maxLength: 60 }),
  })
);
const matrixOf = (pairs: readonly (readonly [number, number])[], classes: number) =>
  confusionOf(pairs.map(([truth]) => truth), pairs.map(([, predicted]) => predicted), classes);

Deno.test("rates and variances agree with counting image by image", () => {
  fc.assert(fc.property(labelled, ({ classes, pairs }) => {
    const metrics = metricsOf(matrixOf(pairs, classes));
    const spread = (values: number[]) => {
      if (values.length === 0) return 0;
      const middle = values.reduce((a, b) => a + b) / values.length;
      return values.reduce((a, b) => a + (b - middle) ** 2, 0) / values.length;
    };
    const count = (test: (truth: number, predicted: number) => boolean) =>
      pairs.filter(([truth, predicted]) => test(truth, predicted)).length;
    const missed: number[] = [], falsePositives: number[] = [], rates: number[] = [];
    for (let c = 0; c < classes; c++) {
      const support = count((t) => t === c);
      if (support > 0) missed.push(count((t, p) => t === c && p !== c) / support);
      if (support + count((_, p) => p === c) === 0) continue;
      let column = 0;
      for (let other = 0; other < classes; other++) {
        const others = count((t) => t === other);
        if (other !== c && others > 0) column += count((t, p) => t === other && p === c) / others;
      }
      falsePositives.push(column);
      if (support < pairs.length) rates.push(count((t, p) => t !== c && p === c) / count((t) => t !== c));
    }
    expect(metrics.accuracy).toBeCloseTo(pairs.length ? count((t, p) => t === p) / pairs.length : 0, 12);
    expect(metrics.falseNegativeVariance).toBeCloseTo(spread(missed), 12);
    expect(metrics.falsePositiveVariance).toBeCloseTo(spread(falsePositives), 12);
    expect(metrics.falsePositiveRateVariance).toBeCloseTo(spread(rates), 12);
    expect(metrics.perfectClasses).toBe(missed.filter((rate) => rate === 0).length);
  }));
});

Deno.test("metrics are always valid, and do not depend on the order of the classes", () => {
  fc.assert(fc.property(labelled, ({ classes, pairs }) => {
    const metrics = metricsOf(matrixOf(pairs, classes));
    expect(Metrics.safeParse(metrics).success).toBe(true);
    const reversed = pairs.map(([t, p]) => [classes - 1 - t, classes - 1 - p] as const);
    close(metricsOf(matrixOf(reversed, classes)), metrics);
  }));
});

Deno.test("a class that does not occur changes nothing", () => {
  fc.assert(fc.property(labelled, ({ classes, pairs }) => {
    expect(metricsOf(matrixOf(pairs, classes + 3))).toEqual(metricsOf(matrixOf(pairs, classes)));
  }));
});

Deno.test("matrices add up cell by cell", () => {
  fc.assert(fc.property(labelled, fc.nat(60), ({ classes, pairs }, at) => {
    const parts = [matrixOf(pairs.slice(0, at), classes), matrixOf(pairs.slice(at), classes)];
    expect(addConfusions(parts)).toEqual(matrixOf(pairs, classes));
  }));
});

Deno.test("labels that do not fit are refused", () => {
  expect(() => confusionOf([0, 1], [0], 2)).toThrow(/2 true classes, but 1/);
  expect(() => confusionOf([0, 2], [0, 1], 2)).toThrow(/image 1: true class 2/);
  expect(() => confusionOf([0, 1], [0, -1], 2)).toThrow(RangeError);
});

Deno.test("folds are summarised by mean and sample standard deviation", () => {
  const folds = [[[3, 1], [0, 4]], [[2, 2], [1, 3]], [[4, 0], [0, 4]]].map(metricsOf);
  const { mean, deviation } = summariseFolds(folds);
  expect(mean.accuracy).toBeCloseTo((7 / 8 + 5 / 8 + 1) / 3, 12);
  // statistics.stdev([0.875, 0.625, 1.0]) of Python
  expect(deviation?.accuracy).toBeCloseTo(0.19094065395649334, 12);
  expect(mean.perfectClasses).toBe(1);
  expect(meanMetrics(folds)).toEqual(mean);
  expect(meanMetrics(folds.slice(0, 2)).perfectClasses).toBe(1);
  expect(summariseFolds(folds.slice(0, 1))).toEqual({ mean: folds[0], deviation: undefined });
  expect(() => summariseFolds([])).toThrow(RangeError);
});
