import { type Consumer, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { headers, NoRespondersError } from "@nats-io/nats-core";
import { Event, type EventType, messageId, RunRequest, subjectOf } from "@subtaxa/contracts";
import { Context, Effect, Layer, Schedule, Stream } from "effect";
import type { z } from "zod";
import { Connection, FACTS } from "./connection.ts";
import { attempt, BusError } from "./error.ts";
import { publishSpan, traceparent } from "./tracing.ts";

/** An event as it stands in the stream; `seq` orders all facts. */
export interface Fact {
  readonly seq: number;
  readonly subject: string;
  readonly event: Event;
}

const text = new TextDecoder();

/** The JSON value; undefined where it is none. */
const jsonIn = (data: Uint8Array): unknown => {
  try {
    return JSON.parse(text.decode(data));
  } catch {
    return undefined;
  }
};

/** Parses a message's JSON as an event of this contract's version. Throws what zod or JSON throw. */
export const parseEvent = (data: Uint8Array): Event => Event.parse(JSON.parse(text.decode(data)));

const tooLarge = (event: Event, body: string, limit: number) => {
  const bytes = new TextEncoder().encode(body).length;
  return new BusError({
    reason: { _tag: "TooLarge", bytes, limit },
    message:
      `could not publish ${event.type} of ${
        "dataset" in event ? event.dataset : event.runId
      }: its ${bytes} ` +
      `bytes and headers are more than the ${limit} that the NATS server takes (max_payload): use fewer classes, or ` +
      "raise that",
  });
};

/** Facts and progress over NATS. Subjects: see `subjects` of @subtaxa/contracts. */
export class Bus extends Context.Service<Bus, {
  /**
   * Publishes a fact, once: its message id is derived from the event, so a repeated publish is dropped by the server
   * (`duplicate`). Retried while the server is unreachable.
   */
  publish(event: Event): Effect.Effect<{ readonly seq: number; readonly duplicate: boolean }, BusError>;
  /** All facts that match, from sequence `from` on, then new ones as they come, in order, over reconnects. */
  facts(options: { readonly filter: string; readonly from?: number }): Stream.Stream<Fact, BusError>;
  /** All facts that match at this moment, in order. */
  history(filter: string): Effect.Effect<readonly Fact[], BusError>;
  /** The newest message that matches: its place in the stream and its subject. */
  newest(filter: string): Effect.Effect<{ readonly seq: number; readonly subject: string } | null, BusError>;
  /** The newest message that matches, read; null also where it is no fact of this version. */
  newestFact(filter: string): Effect.Effect<Fact | null, BusError>;
  /**
   * The clusterers among the routes on which some durable consumer takes events of this type, sorted: neither the fixed
   * next steps of a run nor wildcards.
   */
  routes(type: EventType): Effect.Effect<readonly string[], BusError>;
  /** Sends progress: it may be lost, so this never fails. */
  progress(subject: string, value: unknown): Effect.Effect<void>;
  /** What others send as progress; what does not fit the schema is left out. */
  listen<A>(subject: string, schema: z.ZodType<A>): Stream.Stream<A>;
  /** What everyone says who is asked on this subject, within two seconds; what does not fit the schema is left out. */
  ask<A>(subject: string, schema: z.ZodType<A>): Effect.Effect<readonly A[], BusError>;
  /** Answers whoever asks on this subject. Runs until interrupted. */
  answer(subject: string, value: unknown): Effect.Effect<never>;
  /** Bytes that a message may have, its headers included. */
  readonly maxPayload: Effect.Effect<number>;
  /** Succeeds when the server answers. */
  readonly ping: Effect.Effect<void, BusError>;
}>()("subtaxa/bus/Bus") {
  static readonly layer: Layer.Layer<Bus, never, Connection> = Layer.effect(
    Bus,
    Effect.gen(function* () {
      const { nc, js, jsm, service } = yield* Connection;

      const publish = Effect.fnUntraced(function* (event: Event) {
        const h = headers();
        const id = messageId(event);
        h.set("ce-specversion", "1.0");
        h.set("ce-id", id);
        h.set("ce-type", `subtaxa.${event.type}.v${event.v}`);
        h.set("ce-source", `/subtaxa/${service}`);
        h.set("ce-time", event.at);
        h.set("content-type", "application/json");
        const parent = yield* traceparent;
        if (parent) h.set("traceparent", parent);
        const body = JSON.stringify(event);
        const ack = yield* attempt(
          `publish ${event.type}`,
          () => js.publish(subjectOf(event), body, { msgID: id, headers: h }),
        ).pipe(
          Effect.mapError((error) =>
            /max_payload/.test(error.message) ? tooLarge(event, body, nc.info?.max_payload ?? 0) : error
          ),
          Effect.retry({
            while: (error) => error.reason._tag === "Unreachable",
            schedule: Schedule.max([Schedule.exponential("200 millis"), Schedule.recurs(6)]),
          }),
        );
        return { seq: ack.seq, duplicate: ack.duplicate };
      }, (effect, event) => publishSpan(event)(effect));

      const toFact = (message: Pick<JsMsg, "seq" | "subject" | "data">) =>
        Effect.try({ try: () => parseEvent(message.data), catch: (cause) => cause }).pipe(
          Effect.map((event): Fact[] => [{ seq: message.seq, subject: message.subject, event }]),
          Effect.catch((cause) =>
            Effect.logWarning(
              `left out message ${message.seq} on ${message.subject}: it is no event of this version`,
              cause,
            )
              .pipe(Effect.as<Fact[]>([]))
          ),
        );

      const ordered = (filter: string, from?: number) =>
        attempt(`read ${filter}`, () =>
          js.consumers.get(FACTS, {
            filter_subjects: [filter],
            ...(from === undefined
              ? {}
              : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from) }),
          }));

      /** The server would keep the consumer for five more minutes. Gone already, or no connection: it will be anyway. */
      const forget = (consumer: Consumer) => consumer.delete().then(() => undefined, () => undefined);

      const facts: Bus["Service"]["facts"] = ({ filter, from }) =>
        Stream.unwrap(Effect.gen(function* () {
          const consumer = yield* ordered(filter, from);
          const messages = yield* Effect.acquireRelease(
            attempt(`read ${filter}`, () => consumer.consume()),
            (messages) =>
              Effect.promise(() => messages.close().then(() => forget(consumer), () => undefined)),
          );
          return Stream.fromAsyncIterable(messages, (cause) => cause).pipe(
            Stream.mapEffect(toFact),
            Stream.flatMap(Stream.fromIterable),
            Stream.mapError((cause) => cause as BusError),
          );
        }));

      const history = Effect.fn("bus.history")(function* (filter: string) {
        const consumer = yield* ordered(filter);
        const messages = yield* attempt(`read ${filter}`, async () => {
          const out: JsMsg[] = [];
          let left = (await consumer.info()).num_pending;
          while (left > 0) {
            for await (
              const message of await consumer.fetch({ max_messages: Math.min(left, 500), expires: 5_000 })
            ) {
              out.push(message);
              left = message.info.pending;
            }
          }
          await forget(consumer);
          return out;
        });
        return (yield* Effect.forEach(messages, toFact)).flat();
      });

      /** Asks the stream's leader, which knows every fact that was published; a replica may be behind. */
      const lookUp = (filter: string) =>
        attempt(`look up ${filter}`, () => jsm.streams.getMessage(FACTS, { last_by_subj: filter }));

      const newest: Bus["Service"]["newest"] = (filter) =>
        lookUp(filter).pipe(
          Effect.map((message) => message && { seq: message.seq, subject: message.subject }),
        );

      const newestFact: Bus["Service"]["newestFact"] = (filter) =>
        Effect.gen(function* () {
          const message = yield* lookUp(filter);
          return message ? (yield* toFact(message))[0] ?? null : null;
        });

      const routes: Bus["Service"]["routes"] = (type) =>
        attempt("list the consumers", () => Array.fromAsync(jsm.consumers.list(FACTS))).pipe(
          Effect.map((consumers) => {
            const taken = consumers.filter(({ config }) => config.durable_name !== undefined)
              .flatMap(({ config: { filter_subject, filter_subjects = [] } }) =>
                filter_subject === undefined ? filter_subjects : [filter_subject, ...filter_subjects]
              )
              .filter((filter) => filter.startsWith(`subtaxa.${type}.`))
              .map((filter) => filter.slice(`subtaxa.${type}.`.length).split(".")[0]);
            return [...new Set(taken)].filter((route): route is string =>
              route !== undefined && RunRequest.shape.clusterer.safeParse(route).success
            ).sort();
          }),
        );

      const progress: Bus["Service"]["progress"] = (subject, value) =>
        Effect.sync(() => {
          if (!nc.isClosed()) nc.publish(subject, JSON.stringify(value));
        });

      const listen: Bus["Service"]["listen"] = (subject, schema) =>
        Stream.unwrap(Effect.gen(function* () {
          const subscription = yield* Effect.acquireRelease(
            Effect.sync(() => nc.subscribe(subject)),
            (subscription) => Effect.sync(() => subscription.unsubscribe()),
          );
          return Stream.fromAsyncIterable(subscription, (cause) => cause).pipe(
            Stream.flatMap((message) => {
              const parsed = schema.safeParse(jsonIn(message.data));
              return parsed.success ? Stream.succeed(parsed.data) : Stream.empty;
            }),
            Stream.orDie,
          );
        }));

      const ask: Bus["Service"]["ask"] = (subject, schema) =>
        attempt(`ask on ${subject}`, async () => {
          const answers = await nc.requestMany(subject, "", {
            strategy: "stall",
            stall: 500,
            maxWait: 2_000,
          });
          const parsed = (await Array.fromAsync(answers)).map(({ data }) => schema.safeParse(jsonIn(data)));
          return parsed.flatMap(({ success, data }) => success ? [data] : []);
        }).pipe(
          // nobody listens
          Effect.catchIf(({ cause }) => cause instanceof NoRespondersError, () => Effect.succeed([])),
        );

      const answer: Bus["Service"]["answer"] = (subject, value) =>
        Effect.acquireRelease(
          Effect.sync(() =>
            nc.subscribe(subject, {
              callback: (_error, message) => void message.respond(JSON.stringify(value)),
            })
          ),
          (subscription) => Effect.sync(() => subscription.unsubscribe()),
        ).pipe(Effect.andThen(Effect.never), Effect.scoped);

      const ping = attempt("reach NATS", () => nc.rtt()).pipe(
        Effect.timeoutOrElse({
          duration: "2 seconds",
          orElse: () => attempt("reach NATS", () => Promise.reject(new Error("no answer within 2 seconds"))),
        }),
        Effect.asVoid,
      );

      return Bus.of({
        publish,
        facts,
        history,
        newest,
        newestFact,
        routes,
        progress,
        listen,
        ask,
        answer,
        maxPayload: Effect.sync(() => nc.info?.max_payload ?? Infinity),
        ping,
      });
    }),
  );
}
