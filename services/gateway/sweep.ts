import { Blobs, Bus, type BusError } from "@subtaxa/bus";
import { isFoldEvent, subjects } from "@subtaxa/contracts";
import { Effect } from "effect";
import { ReadModel } from "./read_model.ts";

/** The checkpoints that are kept of a run: the best one of every fold. */
const bestOf = (runId: string, folds: number): Effect.Effect<ReadonlySet<string>, BusError, Bus> =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const keys = new Set<string>();
    for (let fold = 0; fold < folds; fold++) {
      const newest = yield* bus.newestFact(subjects.fold(runId, fold));
      if (newest && isFoldEvent(newest.event) && newest.event.state.best) {
        keys.add(newest.event.state.best.checkpoint.key);
      }
    }
    return keys;
  });

/**
 * Removes what runs that have ended leave in the object store: their steps own checkpoints, optimizers, features and
 * portions, which nobody reads any more. Kept are the best checkpoints, and whatever has no owner: pseudo-labels,
 * predictions, reports and data sets.
 */
export const sweep: Effect.Effect<void, BusError, Blobs | Bus | ReadModel> = Effect.gen(function* () {
  const blobs = yield* Blobs;
  const model = yield* ReadModel;
  const byRun = Map.groupBy(yield* blobs.owned, ({ owner }) => owner.split(".")[0]!); // see `ownerOf`
  for (const [runId, owned] of byRun) {
    const run = yield* model.run(runId);
    if (!run?.end) continue;
    const kept = yield* bestOf(runId, run.spec.folds);
    for (const blob of owned) if (!kept.has(blob.key)) yield* blobs.remove(blob);
  }
});

/** Sweeps now and then, also for what was still being stored when a run ended. Runs until interrupted. */
export const sweeping: Effect.Effect<never, never, Blobs | Bus | ReadModel> = sweep.pipe(
  Effect.catch((error) => Effect.logWarning(`blobs of runs that have ended may be left: ${error.message}`)),
  Effect.andThen(Effect.sleep("10 minutes")),
  Effect.forever,
);
