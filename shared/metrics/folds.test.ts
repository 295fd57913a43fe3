import { expect } from "expect";
import fixture from "./folds.fixture.json" with { type: "json" };
import { confusionOf, meanMetrics, metricsOf, summariseFolds } from "./mod.ts";

const folds = fixture.folds.map(({ true: truth, predicted }) =>
  metricsOf(confusionOf(truth, predicted, fixture.classes))
);

/** Every figure of `actual` is one of `expected`, and the other way round. */
const close = (actual: object, expected: Record<string, number>) => {
  const figures = Object.entries(actual);
  expect(figures.map(([name]) => name).toSorted()).toEqual(Object.keys(expected).toSorted());
  for (const [name, value] of figures) {
    expect([name, value]).toEqual([name, expect.closeTo(expected[name]!, 12)]);
  }
};

Deno.test("each fold's metrics are those that scikit-learn's cross_validate gives it", () => {
  expect(folds.length).toBe(5);
  folds.forEach((metrics, fold) => close(metrics, fixture.folds[fold]!.metrics));
});

Deno.test("over folds: NumPy's mean and its standard deviation of a sample (ddof 1)", () => {
  const { mean, deviation } = summariseFolds(folds);
  close(mean, fixture.mean);
  close(deviation!, fixture.deviation);
  const { perfectClasses, ...others } = meanMetrics(folds);
  close({ ...others, perfectClasses }, {
    ...fixture.mean,
    perfectClasses: Math.round(fixture.mean.perfectClasses),
  });
});
