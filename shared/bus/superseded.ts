import { type Event, isFoldEvent, isShardEvent, isShardOf, subjects } from "@subtaxa/contracts";
import { Effect } from "effect";
import { Bus } from "./bus.ts";
import type { BusError } from "./error.ts";

/**
 * Whether the event that stands in the stream at `seq` was dealt with already: it is not the newest fact of its chain (a
 * fold's, a shard's or a dataset's), its run has ended, or it is a shard of a fact that is no longer the newest of its fold.
 * Asks the stream's leader.
 */
export const superseded = (seq: number, event: Event): Effect.Effect<boolean, BusError, Bus> =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    if ("dataset" in event) {
      const newest = yield* bus.newest(`subtaxa.dataset.*.*.${event.dataset}.all`);
      return newest !== null && newest.seq > seq;
    }
    const end = yield* bus.newest(subjects.end(event.runId));
    if (end) return true;
    if (!isFoldEvent(event) && !isShardEvent(event)) return false;
    const newest = yield* bus.newest(subjects.chain(event));
    if (newest !== null && newest.seq > seq) return true;
    if (!isShardEvent(event)) return false;
    const whole = yield* bus.newestFact(subjects.fold(event.runId, event.fold));
    return whole === null || !isShardOf(event, whole.event);
  });
