import { AckPolicy, type JsMsg } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { CONTRACT_VERSION, describeFailure, type Event, type Failure, Name } from "@subtaxa/contracts";
import { Effect } from "effect";
import { z } from "zod";
import { Bus, parseEvent } from "./bus.ts";
import { Connection, EXHAUSTED, FACTS } from "./connection.ts";
import { attempt, type BusError } from "./error.ts";
import { superseded } from "./superseded.ts";

/** The event that ends what the subject belongs to: `run.failed` or `dataset.failed`; null if it names neither. */
const failureEvent = (subject: string, failure: Failure): Event | null => {
  const [, noun, verb, , id] = subject.split(".");
  const name = Name.safeParse(id);
  if (!name.success) return null;
  const head = {
    v: CONTRACT_VERSION,
    at: new Date().toISOString(),
    error: describeFailure(failure),
  } as const;
  // the other fact of that noun, dataset.relabelled, is a run's
  return `${noun}.${verb}` === "dataset.requested"
    ? { type: "dataset.failed", dataset: name.data, report: null, ...head }
    : { type: "run.failed", runId: name.data, ...head };
};

/**
 * Puts a message aside for good: its original bytes with the reason, the error's tag, the consumer and the number of
 * deliveries as headers, on `dead.<original subject>`; then fails the run or the import that it belongs to.
 */
export const deadLetter = (
  { message, consumer, failure }: {
    readonly message: { readonly subject: string; readonly seq: number; readonly data: Uint8Array };
    readonly consumer: string;
    readonly failure: Failure;
  },
): Effect.Effect<void, BusError, Bus | Connection> =>
  Effect.gen(function* () {
    const { js } = yield* Connection;
    const bus = yield* Bus;
    const { tag, message: reason } = describeFailure(failure);
    const h = headers();
    h.set("subtaxa-error", tag);
    h.set("subtaxa-reason", reason.replaceAll(/\s+/g, " "));
    h.set("subtaxa-consumer", consumer);
    h.set("subtaxa-sequence", String(message.seq));
    yield* attempt("write the dead letter", () =>
      js.publish(`dead.${message.subject}`, message.data, {
        headers: h,
        msgID: `dead:${consumer}:${message.seq}`,
      }));
    const event = failureEvent(message.subject, failure);
    if (event) {
      yield* bus.publish(event);
    }
  });

const Advisory = z.object({ stream_seq: z.number(), consumer: z.string(), deliveries: z.number() });

/** Whether what this message asks for was dealt with already; nothing is known of one that is no event of this version. */
const isSettled = ({ seq, data }: { readonly seq: number; readonly data: Uint8Array }) =>
  Effect.try({ try: () => parseEvent(data), catch: () => null }).pipe(
    Effect.orElseSucceed(() => null),
    Effect.flatMap((event) => event ? superseded(seq, event) : Effect.succeed(false)),
  );

/**
 * Ends the runs whose message ran out of deliveries without any handler saying so, because the process was
 * killed each time. One that went on all the same lives: an acknowledgement is lost when the server dies right after it, and
 * a handler may publish after its last deadline. The server's notices are kept in a stream, so none is missed while nobody listens. Runs until interrupted.
 */
export const reconcileExhausted: Effect.Effect<never, BusError, Bus | Connection> = Effect.gen(function* () {
  const { js, jsm, untilReady } = yield* Connection;
  yield* untilReady(attempt(
    "create the consumer reconciler",
    () => jsm.consumers.add(EXHAUSTED, { durable_name: "reconciler", ack_policy: AckPolicy.Explicit }),
  ));
  const consumer = yield* untilReady(attempt(
    "find the consumer reconciler",
    () => js.consumers.get(EXHAUSTED, "reconciler"),
  ));
  const handle = (notice: JsMsg) =>
    Effect.gen(function* () {
      const advisory = Advisory.safeParse(notice.json());
      if (!advisory.success) return;
      const { stream_seq, consumer, deliveries } = advisory.data;
      const original = yield* attempt(`read message ${stream_seq}`, () =>
        jsm.streams.getMessage(FACTS, { seq: stream_seq }));
      if (!original || (yield* isSettled(original))) {
        return;
      }
      yield* deadLetter({
        message: original,
        consumer,
        failure: {
          _tag: "MessageError",
          reason: { _tag: "Exhausted" },
          message:
            `${consumer} was given ${original.subject} ${deliveries} times and never finished: look at its log for a ` +
            "crash (memory?), or for a drain each time, as when it is rolled out again and again: then raise " +
            "SUBTAXA_MAX_DELIVER",
          retryable: false,
        },
      });
    });
  return yield* Effect.gen(function* () {
    const notice = yield* attempt("pull from reconciler", () => consumer.next({ expires: 2_000 })).pipe(
      Effect.catch((error) =>
        Effect.logWarning(error.message).pipe(Effect.delay("1 second"), Effect.as(null))
      ),
    );
    if (!notice) return;
    yield* handle(notice).pipe(
      Effect.andThen(Effect.sync(() => notice.ack())),
      Effect.catch((error) => {
        notice.nak(1_000);
        return Effect.logWarning(error.message);
      }),
    );
  }).pipe(Effect.forever);
});
