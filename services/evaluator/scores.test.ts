import { expect } from "expect";
import type { Predictions } from "@subtaxa/contracts";
import { syntheticRun } from "@subtaxa/runs/testing";
import { joinFolds, scoresOf } from "./scores.ts";

const predictions = (rows: { true: number; predicted: number; probability: number[] }[]): Predictions => ({
  image: Uint32Array.from(rows, (_, i) => i),
  true: Uint16Array.from(rows, (row) => row.true),
  predicted: Uint16Array.from(rows, (row) => row.predicted),
  probability: Float32Array.from(rows.flatMap((row) => row.probability)),
  classes: rows[0]?.probability.length ?? 2,
});

Deno.test("loss, confusion matrix, false negatives and metrics of three images", () => {
  const scores = scoresOf(predictions([
    { true: 0, predicted: 0, probability: [0.5, 0.5] },
    { true: 0, predicted: 1, probability: [0.25, 0.75] },
    { true: 1, predicted: 1, probability: [0, 1] },
  ]));
  expect(scores.loss).toBeCloseTo((Math.log(2) + Math.log(4)) / 3, 12);
  expect(scores.confusion).toEqual([[1, 1], [0, 1]]);
  expect(scores.falseNegatives).toEqual([0.5, 0]);
  expect(scores.metrics.accuracy).toBeCloseTo(2 / 3, 12);
});

Deno.test("a probability of zero costs much, but not infinitely much", () => {
  const { loss } = scoresOf(predictions([{ true: 0, predicted: 1, probability: [0, 1] }]));
  expect(loss).toBeCloseTo(87.336544, 5);
});

Deno.test("nothing to score is refused", () => {
  expect(() => scoresOf(predictions([]))).toThrow(/no image/);
});

Deno.test("a run is joined when its last fold is scored; repetitions do not count", () => {
  const events = syntheticRun({ classes: ["a", "b"], epochs: 2, folds: 3, seed: 2 });
  const completed = events.filter((event) => event.type === "fold.completed");
  const spec = { folds: 3 };
  expect(joinFolds(spec, [...completed.slice(0, 2), completed[0]!])).toBeUndefined();
  const joined = joinFolds(spec, completed);
  expect(joined).toEqual(joinFolds(spec, [completed[2]!, ...completed]));
  const mean = completed.reduce((sum, { metrics }) => sum + metrics.recall, 0) / 3;
  expect(joined?.recall).toBeCloseTo(mean, 12);
});
