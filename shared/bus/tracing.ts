import { type Event, routeOf } from "@subtaxa/contracts";
import { Effect, Option, Tracer } from "effect";
import { createHash } from "node:crypto";

/** A message as far as its span needs it. */
interface Delivery {
  readonly subject: string;
  readonly headers?: { get(name: string): string } | undefined;
  readonly info: { readonly deliveryCount: number };
}

/** Whether spans go anywhere: without an exporter, none are made and messages carry no `traceparent`. */
const isTracing: Effect.Effect<boolean> = Effect.map(
  Tracer.Tracer,
  (tracer) => tracer !== Tracer.nativeTracer,
);

/**
 * The trace that handling this event belongs to, one for each epoch of a fold; null for events of no fold. It is derived
 * from what the event is about and not only handed on, so that the trace stays one when a message is delivered
 * again, its service was scaled to zero meanwhile, or a service in between knows nothing of tracing.
 */
export const traceIdOf = (event: Event): string | null => {
  if (!("fold" in event)) return null;
  const epoch = routeOf(event) === "train" ? event.epoch + 1 : event.epoch;
  return createHash("sha256").update(`${event.runId}:${event.fold}:${epoch}`).digest("hex").slice(0, 32);
};

/** The parent of a trace's first span: OTLP says with an empty id that there is none. */
const beginningOf = (traceId: string) => Tracer.externalSpan({ traceId, spanId: "" });

/** The span that a `traceparent` header names (W3C Trace Context, section 3.2). */
const parseTraceparent = (header: string | undefined) => {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/.exec(header ?? "") ??
      [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return Tracer.externalSpan({ traceId, spanId, sampled: (parseInt(flags, 16) & 1) === 1 });
};

/** The span under way as a `traceparent` header; where nothing is traced, what the message under way has. */
export const traceparent: Effect.Effect<string | undefined> = Effect.gen(function* () {
  const span = (yield* isTracing)
    ? yield* Effect.option(Effect.currentSpan)
    : Option.filter(yield* Effect.option(Effect.currentParentSpan), ({ _tag }) => _tag === "ExternalSpan");
  if (Option.isNone(span)) return undefined;
  const { traceId, spanId, sampled } = span.value;
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
});

/** The span of publishing an event: part of what is under way, else the first one of the event's epoch. */
export const publishSpan = (event: Event) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    if (!(yield* isTracing)) return yield* effect;
    const traceId = Option.isNone(yield* Effect.option(Effect.currentParentSpan)) ? traceIdOf(event) : null;
    return yield* Effect.withSpan(effect, `publish ${event.type}`, {
      kind: "producer",
      ...(traceId === null ? {} : { parent: beginningOf(traceId) }),
      attributes: { "messaging.system": "nats", "messaging.operation.type": "send" },
    });
  });

/** What is published belongs to the trace of this message. */
export const causedBy = (message: Pick<Delivery, "headers">) => <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const cause = parseTraceparent(message.headers?.get("traceparent"));
  return cause ? Effect.withParentSpan(effect, cause) : effect;
};

/**
 * The span of handling a message: a child of the one that published it; the first of its trace, with a link to that one,
 * where a new epoch begins. Attribute names follow OpenTelemetry's messaging conventions.
 */
export const processSpan =
  (message: Delivery, event: Event, durable: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      if (!(yield* isTracing)) return yield* causedBy(message)(effect);
      const cause = parseTraceparent(message.headers?.get("traceparent"));
      const traceId = traceIdOf(event) ?? cause?.traceId;
      const isCause = cause !== undefined && cause.traceId === traceId;
      const parent = isCause ? cause : traceId === undefined ? undefined : beginningOf(traceId);
      return yield* Effect.withSpan(effect, `process ${event.type}`, {
        kind: "consumer",
        ...(parent ? { parent } : { root: true }),
        links: cause && !isCause ? [{ span: cause, attributes: {} }] : [],
        attributes: {
          "messaging.system": "nats",
          "messaging.operation.type": "process",
          "messaging.destination.name": message.subject,
          "messaging.consumer.group.name": durable,
          "subtaxa.event": event.type,
          "subtaxa.delivery": message.info.deliveryCount,
          ...("dataset" in event ? { "subtaxa.dataset": event.dataset } : { "subtaxa.run": event.runId }),
          ...("fold" in event ? { "subtaxa.fold": event.fold, "subtaxa.epoch": event.epoch } : {}),
          ...("shard" in event ? { "subtaxa.shard": event.shard } : {}),
        },
      });
    });

/** Tells the span under way how handling came out. */
export const traceOutcome = (outcome: string): Effect.Effect<void> =>
  Effect.annotateCurrentSpan("subtaxa.outcome", outcome);
