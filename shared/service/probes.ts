import { Effect, Metric } from "effect";
import { PrometheusMetrics } from "effect/observability";
import type { Settled } from "@subtaxa/bus";

const messages = Metric.counter("subtaxa_messages_total", {
  description: "Messages settled, by event type and outcome",
  incremental: true,
});
const handling = Metric.histogram("subtaxa_handling_seconds", {
  description: "Time from taking a message to settling it",
  boundaries: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000],
});

/** Counts a settled message. */
export const countSettled = (settled: Settled): Effect.Effect<void> => {
  const type = settled.event?.type ?? "undecodable";
  return Effect.all([
    Metric.update(Metric.withAttributes(messages, { type, outcome: settled.outcome }), 1),
    Metric.update(Metric.withAttributes(handling, { type }), settled.seconds),
  ], { discard: true });
};

const plain = (body: string, status = 200) =>
  new Response(body, { status, headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });

/**
 * The endpoints that every service has: `/healthz` (the process answers), `/readyz` (200 when the bus answers and the
 * service takes messages, else 503 with the reason) and `/metrics` (Prometheus text format). Null for any other path.
 */
export const probe = (
  path: string,
  ready: Effect.Effect<void, { readonly message: string }>,
): Effect.Effect<Response> | null => {
  switch (path) {
    case "/healthz":
      return Effect.succeed(plain("ok\n"));
    case "/readyz":
      return ready.pipe(
        Effect.match({
          onSuccess: () => plain("ready\n"),
          onFailure: (error) => plain(`${error.message}\n`, 503),
        }),
      );
    case "/metrics":
      return PrometheusMetrics.format().pipe(Effect.map((body) => plain(body)));
    default:
      return null;
  }
};
