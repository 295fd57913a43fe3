import { z } from "zod";

const Attributes = z.array(z.object({ key: z.string(), value: z.looseObject({}) })).transform((all) =>
  Object.fromEntries(all.map(({ key, value }): [string, unknown] => [key, Object.values(value)[0]]))
);
const Resource = z.object({ attributes: Attributes });
const SpanData = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z.string().default(""),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: Attributes,
  status: z.object({ code: z.number() }),
  links: z.array(z.object({ traceId: z.string(), spanId: z.string() })),
});
const Traces = z.object({
  resourceSpans: z.array(z.object({
    resource: Resource,
    scopeSpans: z.array(z.object({ spans: z.array(SpanData) })),
  })),
});
const Metrics = z.object({
  resourceMetrics: z.array(z.object({
    resource: Resource,
    scopeMetrics: z.array(z.object({ metrics: z.array(z.object({ name: z.string(), unit: z.string() })) })),
  })),
});

export type Span = z.infer<typeof SpanData> & { readonly service: unknown };

/** An OpenTelemetry collector that keeps what it is sent (OTLP 1.x over HTTP, JSON). */
export const startCollector = () => {
  const spans: Span[] = [];
  const metrics = new Map<unknown, Map<string, string>>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => undefined },
    async (request) => {
      const body: unknown = await request.json();
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/traces") {
        for (const { resource, scopeSpans } of Traces.parse(body).resourceSpans) {
          const service = resource.attributes["service.name"];
          for (const { spans: some } of scopeSpans) {
            spans.push(...some.map((span) => ({ ...span, service })));
          }
        }
      } else if (pathname === "/v1/metrics") {
        for (const { resource, scopeMetrics } of Metrics.parse(body).resourceMetrics) {
          const service = resource.attributes["service.name"];
          const units = metrics.get(service) ?? new Map<string, string>();
          metrics.set(service, units);
          for (const { metrics: some } of scopeMetrics) {
            for (const { name, unit } of some) units.set(name, unit);
          }
        }
      } else return new Response("not found", { status: 404 });
      return Response.json({});
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    spans,
    /** Units of metrics by service and name, in UCUM. */
    metrics,
    stop: () => server.shutdown(),
  };
};
