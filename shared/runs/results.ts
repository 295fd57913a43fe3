import type { Event, RunMetricsView } from "@subtaxa/contracts";
import { meanMetrics } from "@subtaxa/metrics";
import { runLog } from "./log.ts";

/**
 * The held-out results of a run: those of every fold that has been scored, and their mean. Undefined while no fold
 * has. Throws `RunLogError` when the events are not the log of one run.
 */
export const runMetrics = (events: Iterable<Event>): RunMetricsView | undefined => {
  const log = runLog(events);
  const folds = log.folds.flatMap(({ fold, completed }) =>
    completed === undefined ? [] : [{
      fold,
      bestEpoch: completed.state.best?.epoch ?? completed.epoch,
      metrics: completed.metrics,
      confusion: completed.confusion,
    }]
  );
  if (folds.length === 0) return undefined;
  const metrics = log.end?.type === "run.completed"
    ? log.end.metrics
    : meanMetrics(folds.map((fold) => fold.metrics));
  return { id: log.id, metrics, folds, classes: log.spec.classes };
};
