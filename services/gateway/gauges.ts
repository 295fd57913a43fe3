import { type BusError, type Connection, deadLetters, lags } from "@subtaxa/bus";
import { RunState } from "@subtaxa/contracts";
import { measureLag, refreshed } from "@subtaxa/service";
import { Effect, Metric } from "effect";
import { ReadModel } from "./read_model.ts";

const runs = Metric.gauge("subtaxa_runs", { description: "Runs in the event log, by state" });
const dead = Metric.gauge("subtaxa_dead_letters", {
  description: "Messages in the dead-letter stream, which keeps them for 30 days",
});

const measure: Effect.Effect<void, BusError, ReadModel | Connection> = Effect.gen(function* () {
  const all = yield* (yield* ReadModel).runs;
  for (const state of RunState.options) {
    const count = all.filter((run) => run.state === state).length;
    yield* Metric.update(Metric.withAttributes(runs, { state }), count);
  }
  yield* Metric.update(dead, yield* deadLetters);
  for (const lag of yield* lags) yield* measureLag(lag);
});

/**
 * What only somebody who is always there can show: how runs stand, the dead letters, and the lag of every consumer, also
 * of services that are scaled to zero. Runs until interrupted.
 */
export const gauges: Effect.Effect<never, never, ReadModel | Connection> = refreshed(measure);
