import { Effect } from "effect";
import { PrometheusMetrics } from "effect/observability";

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
