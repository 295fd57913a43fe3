import { AckPolicy, type Consumer, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";
import {
  type BlobRef,
  CONTRACT_VERSION,
  describeFailure,
  type Event,
  type Failure,
  subjects,
} from "@subtaxa/contracts";
import { Cause, Config, Duration, Effect, Exit, Fiber, Schedule, Stream } from "effect";
import { Blobs } from "./blobs.ts";
import { Bus, parseEvent } from "./bus.ts";
import { Connection, FACTS } from "./connection.ts";
import { deadLetter } from "./dead_letters.ts";
import { attempt, type BusError } from "./error.ts";
import { mayPass } from "./ready.ts";
import { superseded } from "./superseded.ts";
import { causedBy, processSpan, traceOutcome } from "./tracing.ts";
import { z } from "zod";

/** What handling an event comes to: the facts that follow, and blobs that nobody needs once those are published. */
export interface Outcome {
  readonly events: readonly Event[];
  readonly obsolete?: readonly BlobRef[];
}

export type Handler<R> = (event: Event) => Effect.Effect<Outcome, Failure, R>;

export interface ConsumeOptions {
  /** Name of the durable consumer; all instances of a service share it, and each message goes to one of them. */
  readonly durable: string;
  /** Subjects that it takes (see `subjects.of`). */
  readonly filters: readonly string[];
  /** Told of every message settled, for logs and metrics. */
  readonly onSettled?: (settled: Settled) => Effect.Effect<void>;
}

export interface Settled {
  readonly event: Event | null;
  readonly subject: string;
  readonly outcome: "done" | "ignored" | "stopped" | "retry" | "dead";
  readonly failure?: Failure;
  readonly seconds: number;
}

/** Documented in README: how often a message is delivered before it is dead, and the time until it is redelivered. */
export const DeliveryConfig = Config.all({
  ackWait: Config.Duration("SUBTAXA_ACK_WAIT").pipe(Config.withDefault(Duration.seconds(30))),
  maxDeliver: Config.Int("SUBTAXA_MAX_DELIVER").pipe(Config.withDefault(5)),
});

/** Pause before the next delivery: 1 s, 4 s, 16 s, at most a minute. */
const backoff = (delivery: number) => Math.min(60_000, 1_000 * 4 ** (delivery - 1));

const defect = (cause: Cause.Cause<unknown>): Failure => ({
  _tag: "Defect",
  reason: { _tag: "Unexpected" },
  message: Cause.pretty(cause).slice(0, 2_000),
  retryable: true,
});

const failureOf = (cause: Cause.Cause<Failure>): Failure => {
  const found = Cause.findErrorOption(cause);
  return found._tag === "Some" ? found.value : defect(cause);
};

/**
 * Creates the durable consumer, or brings it up to date. It keeps what its instances have not handled yet, and tells how
 * much that is, also while none of them runs.
 */
export const registerConsumer = (
  { durable, filters }: Pick<ConsumeOptions, "durable" | "filters">,
): Effect.Effect<void, BusError, Connection> =>
  Effect.gen(function* () {
    const { jsm, untilReady } = yield* Connection;
    const { ackWait, maxDeliver } = yield* DeliveryConfig.pipe(Effect.orDie);
    const config = {
      durable_name: durable,
      filter_subjects: [...filters],
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(Duration.toMillis(ackWait)),
      max_deliver: maxDeliver,
    };
    const create = attempt(`create the consumer ${durable}`, () => jsm.consumers.add(FACTS, config));
    const update = attempt(
      `update the consumer ${durable}`,
      () => jsm.consumers.update(FACTS, durable, config),
    );
    yield* untilReady(create.pipe(Effect.catchIf((error) => !mayPass(error), () => update)));
  });

/**
 * Takes messages of a durable consumer, one at a time, until interrupted.
 *
 * Settlement: an event that is not the newest fact of its chain (a fold's, or a shard's), or whose run has ended, was dealt
 * with already and is acknowledged unhandled; so is a shard of a fact that is no longer the newest of its fold. Both are
 * looked up again before anything is published or given up. While the handler works, the deadline is extended at half the
 * ack wait, and the end of the run (a cancellation) interrupts it once the stream has it. The facts that it returns are published before
 * the message is acknowledged. A retryable failure is redelivered after a backoff; a final one, the last delivery and an undecodable
 * message become dead letters, and the run fails with the reason. An interruption from outside hands the message back at
 * once, which the server counts as a delivery: on the last one, the work is finished first.
 */
export const consume = <R>(
  options: ConsumeOptions,
  handler: Handler<R>,
): Effect.Effect<never, BusError, R | Bus | Blobs | Connection> =>
  Effect.gen(function* () {
    const { js, nc, lost, untilReady } = yield* Connection;
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const { ackWait, maxDeliver } = yield* DeliveryConfig.pipe(Effect.orDie);

    const ensure = registerConsumer(options).pipe(
      Effect.andThen(
        untilReady(
          attempt(`find the consumer ${options.durable}`, () => js.consumers.get(FACTS, options.durable)),
        ),
      ),
    );

    /** The next message or null; one that arrives after an interruption goes straight back. */
    const pull = (consumer: Consumer) =>
      Effect.callback<JsMsg | null, BusError>((resume) => {
        let abandoned = false;
        const pulled = consumer.next({ expires: 2_000 }).then((message) => {
          if (abandoned) message?.nak();
          else resume(Effect.succeed(message));
        }, (cause) => {
          if (!abandoned) resume(attempt(`pull from ${options.durable}`, () => Promise.reject(cause)));
        });
        return Effect.promise(() => {
          abandoned = true;
          return pulled;
        });
      });

    /**
     * Completes when the event's run has ended, so that work on it stops. An end that is heard may be stored later, or never
     * (the stream refuses it): only the stream says that a run has ended.
     */
    const ended = (event: Event) => {
      if ("dataset" in event) return Effect.never;
      const end = subjects.end(event.runId);
      const stored = bus.newest(end).pipe(
        Effect.orElseSucceed(() => null),
        Effect.repeat({
          until: (fact) => fact !== null,
          schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]),
        }),
      );
      return bus.listen(end, z.unknown()).pipe(Stream.take(1), Stream.runDrain, Effect.andThen(stored));
    };

    const giveUp = (message: JsMsg, failure: Failure) =>
      deadLetter({ message, consumer: options.durable, failure }).pipe(
        causedBy(message),
        Effect.tap(() => Effect.sync(() => message.term(describeFailure(failure).tag))),
        // a message must not get lost because its dead letter could not be written
        Effect.tapError(() => Effect.sync(() => message.nak(backoff(message.info.deliveryCount)))),
      );

    const work = (message: JsMsg, event: Event) =>
      Effect.gen(function* () {
        // listening comes first: an end between the look-up and a later subscription would go unseen
        const end = yield* Effect.forkChild(ended(event), { startImmediately: true });
        if (yield* superseded(message.seq, event)) return "ignored" as const;
        const outcome = yield* Effect.raceFirst(handler(event), Effect.as(Fiber.join(end), null));
        if (outcome === null) return "stopped" as const;
        // who was away for longer than the ack wait, a paused machine say, may have been overtaken
        if (yield* superseded(message.seq, event)) return "ignored" as const;
        for (const next of outcome.events) yield* bus.publish(next);
        for (const blob of outcome.obsolete ?? []) {
          yield* blobs.remove(blob).pipe(Effect.catch((error) => Effect.logWarning(error.message)));
        }
        return "done" as const;
      });

    const settle = (message: JsMsg) =>
      Effect.gen(function* () {
        const started = performance.now();
        const settled = (outcome: Settled["outcome"], event: Event | null, failure?: Failure): Settled => ({
          event,
          subject: message.subject,
          outcome,
          ...(failure ? { failure } : {}),
          seconds: (performance.now() - started) / 1000,
        });

        const parsed = yield* Effect.result(
          Effect.try({ try: () => parseEvent(message.data), catch: String }),
        );
        if (parsed._tag === "Failure") {
          const failure: Failure = {
            _tag: "MessageError",
            reason: { _tag: "Undecodable" },
            message:
              `the message on ${message.subject} is no event of contract version ${CONTRACT_VERSION}: ${
                parsed.failure.slice(0, 500)
              }`,
            retryable: false,
          };
          yield* giveUp(message, failure);
          return settled("dead", null, failure);
        }
        const event = parsed.success;

        const heartbeat = Effect.sync(() => message.working()).pipe(
          Effect.delay(Duration.millis(Duration.toMillis(ackWait) / 2)),
          Effect.forever,
        );
        const failed = (failure: Failure) =>
          failure.retryable && message.info.deliveryCount < maxDeliver ? "retry" : "dead";
        const exit = yield* Effect.exit(
          work(message, event).pipe(
            Effect.raceFirst(heartbeat),
            Effect.onInterrupt(() => Effect.sync(() => message.nak())),
            Effect.tap(traceOutcome),
            Effect.tapError((failure) => traceOutcome(failed(failure))),
            processSpan(message, event, options.durable),
          ),
        );
        if (Exit.isSuccess(exit)) {
          yield* attempt("acknowledge", () => message.ackAck()).pipe(Effect.ignore); // if lost: redelivered and ignored
          return settled(exit.value, event);
        }
        const failure = failureOf(exit.cause);
        // such as a blob that is gone because another instance has done this work meanwhile
        if (yield* superseded(message.seq, event).pipe(Effect.orElseSucceed(() => false))) {
          yield* attempt("acknowledge", () => message.ackAck()).pipe(Effect.ignore);
          return settled("ignored", event);
        }
        if (failed(failure) === "retry") {
          message.nak(backoff(message.info.deliveryCount));
          return settled("retry", event, failure);
        }
        yield* giveUp(message, failure);
        return settled("dead", event, failure);
      });

    let consumer = yield* ensure;
    return yield* Effect.gen(function* () {
      const message = yield* pull(consumer).pipe(
        Effect.catch((error) => {
          if (nc.isDraining() || nc.isClosed()) return lost; // stopping: the scope ends this
          return Effect.logWarning(error.message).pipe(
            Effect.andThen(Effect.sleep("500 millis")),
            // a consumer that was deleted under load is made again
            Effect.andThen(
              ensure.pipe(Effect.tap((made) => Effect.sync(() => consumer = made)), Effect.ignore),
            ),
            Effect.as(null),
          );
        }),
      );
      if (!message) return;
      const settling = yield* Effect.forkDetach(settle(message));
      const isLast = message.info.deliveryCount >= maxDeliver;
      yield* Fiber.join(settling).pipe(
        Effect.onInterrupt(() => isLast ? Fiber.await(settling) : Fiber.interrupt(settling)),
        Effect.flatMap((settled) => options.onSettled?.(settled) ?? Effect.void),
        // no dead letter could be written: the message was handed back
        Effect.catch((error) => Effect.logWarning(error.message)),
      );
    }).pipe(Effect.forever);
  });
