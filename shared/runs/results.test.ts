import { expect } from "expect";
import { RunMetricsView } from "@subtaxa/contracts";
import { metricsOf } from "@subtaxa/metrics";
import { runMetrics } from "./mod.ts";
import { syntheticRun } from "./testing.ts";

const events = syntheticRun({ classes: ["a", "b", "c"], epochs: 3, folds: 3, seed: 1 });

Deno.test("results of every scored fold, and their mean", () => {
  const results = RunMetricsView.parse(runMetrics(events));
  expect(results.folds.map(({ fold }) => fold)).toEqual([0, 1, 2]);
  for (const { metrics, confusion } of results.folds) expect(metrics).toEqual(metricsOf(confusion));
  const accuracies = results.folds.map(({ metrics }) => metrics.accuracy);
  expect(results.metrics.accuracy).toBeCloseTo((accuracies[0]! + accuracies[1]! + accuracies[2]!) / 3, 12);
  const validated = events.filter((event) => event.type === "epoch.validated" && event.fold === 1)
    .map((event) => event.type === "epoch.validated" ? event.metrics.fScore : 0);
  expect(validated[results.folds[1]!.bestEpoch - 1]).toBeCloseTo(Math.max(...validated), 2);
});

Deno.test("a run with only some folds scored has their results; with none it has no results", () => {
  const first = events.findIndex(({ type }) => type === "fold.completed");
  expect(runMetrics(events.slice(0, first))).toBeUndefined();
  const one = runMetrics(events.slice(0, first + 1));
  expect(one?.folds).toHaveLength(1);
  expect(one?.metrics).toEqual(one?.folds[0]?.metrics);
});
