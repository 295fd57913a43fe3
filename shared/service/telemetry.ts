import { ConfigProvider, Layer } from "effect";
import { FetchHttpClient } from "effect/http";
import { OtlpMetrics, OtlpSerialization, OtlpTracer } from "effect/observability";

/**
 * Sends spans and metrics to an OpenTelemetry collector by OTLP over HTTP, as JSON. Configured by OpenTelemetry's own
 * variables; without `OTEL_EXPORTER_OTLP_ENDPOINT` (or one per signal) it does nothing.
 */
export const telemetry = (service: string): Layer.Layer<never> =>
  Layer.mergeAll(OtlpTracer.layerFromConfig(), OtlpMetrics.layerFromConfig()).pipe(
    Layer.provide(OtlpSerialization.layerJson),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(ConfigProvider.layerAdd(ConfigProvider.fromUnknown({
      // OpenTelemetry's default for both exporters; Effect's is none
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_SERVICE_NAME: `subtaxa-${service}`,
    }))),
  );
