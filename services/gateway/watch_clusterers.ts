import { Bus } from "@subtaxa/bus";
import { CONTRACT_VERSION, describeFailure, type Failure } from "@subtaxa/contracts";
import type { Awaited } from "@subtaxa/runs";
import { Clock, Data, Duration, Effect } from "effect";
import { Absences } from "./absences.ts";
import { Clusterers } from "./clusterers.ts";
import { ReadModel } from "./read_model.ts";
import { Settings } from "./settings.ts";

/** A run waited in vain for its clusterer. */
export class ClustererError extends Data.TaggedError("ClustererError")<{
  readonly reason: { readonly _tag: "NoInstance"; readonly clusterer: string };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

const noInstance = (clusterer: string, waited: Duration.Duration): ClustererError =>
  new ClustererError({
    reason: { _tag: "NoInstance", clusterer },
    message: `no instance of the clusterer '${clusterer}' has been alive for ${Duration.format(waited)}: ` +
      "start one, and the run again; SUBTAXA_CLUSTERER_TIMEOUT sets how long runs wait",
  });

/**
 * Looks once whether the clusterers that runs wait for are alive. Since when one has been absent is noted in NATS, so that
 * a gateway that is started anew, or another one, goes on counting.
 */
const look = Effect.gen(function* () {
  const model = yield* ReadModel;
  const absences = yield* Absences;
  const bus = yield* Bus;
  const { clustererTimeout } = yield* Settings;
  const alive = new Set((yield* (yield* Clusterers).alive).map(({ name }) => name));
  const awaited = yield* model.awaited;
  const now = yield* Clock.currentTimeMillis;
  const since = new Map<string, number>();
  for (const name of new Set(awaited.map(({ clusterer }) => clusterer))) {
    if (!alive.has(name)) {
      since.set(name, Date.parse(yield* absences.claim(name, new Date(now).toISOString())));
    } else if ((yield* absences.get(name)) !== null) {
      yield* absences.remove(name);
    }
  }
  /** Absence counts from when the fold needed it. */
  const until = ({ clusterer, since: asked }: Awaited) => {
    const absent = since.get(clusterer);
    return absent === undefined
      ? undefined
      : Math.max(absent, Date.parse(asked)) + Duration.toMillis(clustererTimeout);
  };
  yield* model.setPatience(until);
  for (const fold of awaited) {
    const { runId, clusterer } = fold;
    const end = until(fold);
    if (end === undefined || now < end) continue;
    yield* bus.publish({
      type: "run.failed",
      v: CONTRACT_VERSION,
      at: new Date(now).toISOString(),
      runId,
      error: describeFailure(noInstance(clusterer, clustererTimeout)),
    });
  }
});

/** Ends runs whose clusterer stays away for `SUBTAXA_CLUSTERER_TIMEOUT`, and lets the others say that they wait. */
export const watchClusterers: Effect.Effect<
  never,
  never,
  Absences | Bus | Clusterers | ReadModel | Settings
> = Effect
  .flatMap(
    Settings,
    ({ clustererTimeout }) =>
      look.pipe(
        Effect.catch((error) => Effect.logWarning(`could not look after the clusterers: ${error.message}`)),
        Effect.andThen(
          Effect.sleep(Duration.min(Duration.seconds(5), Duration.divideUnsafe(clustererTimeout, 4))),
        ),
        Effect.forever,
      ),
  );
