import { type Connection, type Lag, lagOfConsumer, type Settled } from "@subtaxa/bus";
import type { Event, Failure, RunProgress } from "@subtaxa/contracts";
import { Clock, Effect, Metric } from "effect";

/** What services count and measure; names and units as Prometheus wants them. README lists them. */

const messages = Metric.counter("subtaxa_messages_total", {
  description: "Messages settled, by consumer, event type and outcome",
  incremental: true,
});
const handling = Metric.histogram("subtaxa_handling_seconds", {
  description: "Time from taking a message to settling it",
  boundaries: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000],
  attributes: { unit: "seconds" },
});
const inProgress = Metric.gauge("subtaxa_messages_in_progress", {
  description: "Messages that this instance is working on",
});
const imagesPerSecond = Metric.gauge("subtaxa_step_images_per_second", {
  description: "Images processed per second by the step that is running; 0 when none is",
});
const loss = Metric.gauge("subtaxa_step_loss", {
  description: "Mean training loss of the running epoch so far, or of the last one",
});
const progressAt = Metric.gauge("subtaxa_step_progress_timestamp_seconds", {
  description: "Unix time of the last progress within a step",
  attributes: { unit: "seconds" },
});
const pending = Metric.gauge("subtaxa_consumer_pending_messages", {
  description: "Messages of a durable consumer that no instance was given yet",
});
const ackPending = Metric.gauge("subtaxa_consumer_ack_pending_messages", {
  description: "Messages of a durable consumer that are being handled or wait for redelivery",
});
const waiting = Metric.gauge("subtaxa_consumer_waiting_pulls", {
  description: "Instances that wait for a message of a durable consumer",
});

/** Counts a settled message. */
export const countSettled = (consumer: string, { event, outcome, seconds }: Settled): Effect.Effect<void> => {
  const type = event?.type ?? "undecodable";
  return Effect.all([
    Metric.update(Metric.withAttributes(messages, { consumer, type, outcome }), 1),
    Metric.update(Metric.withAttributes(handling, { consumer, type }), seconds),
  ], { discard: true });
};

/** Steps whose speed is shown. */
const running = new Set<RunProgress["step"]>();

/** Shows the speed and loss of a step. */
export const measureProgress = (
  { step, ...advance }: Pick<RunProgress, "step" | "imagesPerSecond" | "loss">,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    running.add(step);
    const millis = yield* Clock.currentTimeMillis;
    yield* Metric.update(Metric.withAttributes(progressAt, { step }), millis / 1000);
    if (advance.imagesPerSecond !== undefined) {
      yield* Metric.update(Metric.withAttributes(imagesPerSecond, { step }), advance.imagesPerSecond);
    }
    if (advance.loss !== undefined) yield* Metric.update(Metric.withAttributes(loss, { step }), advance.loss);
  });

const stepsEnded = Effect.suspend(() => {
  const ended = [...running];
  running.clear();
  return Effect.forEach(
    ended,
    (step) => Metric.update(Metric.withAttributes(imagesPerSecond, { step }), 0),
    { discard: true },
  );
});

/** Shows the message as at work until its handler ends. */
export const measureWork =
  (consumer: string, { type }: Event) => <A, R>(handled: Effect.Effect<A, Failure, R>) => {
    const gauge = Metric.withAttributes(inProgress, { consumer, type });
    return Effect.acquireUseRelease(
      Metric.modify(gauge, 1),
      () => handled,
      () => Metric.modify(gauge, -1).pipe(Effect.andThen(stepsEnded)),
    );
  };

/** Shows how far a consumer is behind. */
export const measureLag = (lag: Lag): Effect.Effect<void> => {
  const attributes = { consumer: lag.consumer };
  return Effect.all([
    Metric.update(Metric.withAttributes(pending, attributes), lag.pending),
    Metric.update(Metric.withAttributes(ackPending, attributes), lag.ackPending),
    Metric.update(Metric.withAttributes(waiting, attributes), lag.waiting),
  ], { discard: true });
};

/** Repeats a measurement every two seconds for ever; one that fails leaves the figures as they are. */
export const refreshed = <R>(measure: Effect.Effect<void, Failure, R>): Effect.Effect<never, never, R> =>
  measure.pipe(
    Effect.catch((error) => Effect.logDebug(`could not measure: ${error.message}`)),
    Effect.andThen(Effect.sleep("2 seconds")),
    Effect.forever,
  );

/** Keeps showing the lag of a service's consumers. */
export const measureLags = (durables: readonly string[]): Effect.Effect<never, never, Connection> =>
  refreshed(
    Effect.forEach(durables, (durable) => Effect.flatMap(lagOfConsumer(durable), measureLag), {
      discard: true,
    }),
  );
