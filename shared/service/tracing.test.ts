import { Bus, Connection, startNatsServer } from "@subtaxa/bus";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { startCollector } from "./testing.ts";
import { runRequested, startService } from "./testdata/service.ts";

/** Publishes one request and lets two services handle it and what follows, as processes of their own. */
const relay = (folder: string, telemetry: Record<string, string>) =>
  Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const nats = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const env = { NATS_URL: nats.url, SUBTAXA_DATA: folder, ...telemetry };
    const layer = Bus.layer.pipe(Layer.provideMerge(
      Connection.layer("test").pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))),
    ));
    return yield* Effect.gen(function* () {
      const { jsm } = yield* Connection;
      const bus = yield* Bus;
      const [trainer, evaluator] = ["trainer", "evaluator"].map((RELAY) =>
        startService({ ...env, RELAY }, "relay.ts")
      ) as [ReturnType<typeof startService>, ReturnType<typeof startService>];
      yield* bus.publish(runRequested("relayed"));
      yield* Effect.promise(() =>
        trainer.until(({ annotations, message }) =>
          annotations.outcome === "done" && message === "epoch.validated"
        )
      );
      for (const service of [trainer, evaluator]) {
        service.process.kill("SIGTERM"); // what is not sent yet goes out before the end
        yield* Effect.promise(async () => {
          await service.drain();
          expect((await service.process.status).code).toBe(0);
          await service.process.stdin.close();
        });
      }
      const headers: (string | undefined)[] = [];
      for (const seq of [1, 2, 3]) {
        const message = yield* Effect.promise(() => jsm.streams.getMessage("SUBTAXA", { seq }));
        headers.push(message?.header.get("traceparent"));
      }
      return headers;
    }).pipe(Effect.provide(layer));
  });

const inFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-tracing-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

Deno.test("an epoch is one trace over its services, also when a message is delivered twice", () =>
  inFolder(async (folder) => {
    const collector = startCollector();
    const telemetry = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    await Effect.runPromise(Effect.scoped(relay(folder, telemetry)));
    await collector.stop();

    const { spans } = collector;
    const one = (name: string, delivery?: number) => {
      const found = spans.filter((span) =>
        span.name === name && (delivery === undefined || span.attributes["subtaxa.delivery"] === delivery)
      );
      expect(found.map(({ name }) => name)).toEqual([name]);
      return found[0]!;
    };
    const root = one("process run.requested");
    const trained = one("publish epoch.trained");
    const failed = one("process epoch.trained", 1);
    const again = one("process epoch.trained", 2);
    const validated = one("publish epoch.validated");
    const next = one("process epoch.validated");
    const blob = one("blobs.put");

    const first = spans.filter(({ traceId }) => traceId === root.traceId);
    expect(new Set(first.map(({ service }) => service))).toEqual(
      new Set(["subtaxa-trainer", "subtaxa-evaluator"]),
    );
    // every parent is there, and only the first span has none
    const known = new Set(first.map(({ spanId }) => spanId));
    expect(first.filter(({ parentSpanId }) => !known.has(parentSpanId))).toEqual([root]);
    expect(root.parentSpanId).toBe("");
    expect(blob.parentSpanId).toBe(root.spanId);
    expect(trained.parentSpanId).toBe(root.spanId);
    expect([failed.parentSpanId, again.parentSpanId]).toEqual([trained.spanId, trained.spanId]);
    expect(validated.parentSpanId).toBe(again.spanId);
    expect(failed.attributes["subtaxa.outcome"]).toBe("retry");
    expect(failed.status.code).toBe(2);
    expect(again).toMatchObject({
      kind: 5,
      status: { code: 1 },
      attributes: {
        "subtaxa.outcome": "done",
        "subtaxa.run": "relayed",
        "subtaxa.fold": 0,
        "subtaxa.epoch": 1,
        "messaging.destination.name": "subtaxa.epoch.trained.validate.relayed.0",
      },
    });

    // the next epoch is a trace of its own, which says what it came from
    expect(next.traceId).not.toBe(root.traceId);
    expect(next.parentSpanId).toBe("");
    expect(next.links).toMatchObject([{ traceId: root.traceId, spanId: validated.spanId }]);

    const units = collector.metrics.get("subtaxa-trainer")!;
    expect([...units.keys()]).toEqual(
      expect.arrayContaining([
        "subtaxa_messages_total",
        "subtaxa_handling_seconds",
        "subtaxa_blob_sent_bytes_total",
      ]),
    );
    for (const [name, unit] of units) {
      const wanted = /_seconds(_total)?$/.test(name) ? "s" : /_bytes(_total)?$/.test(name) ? "By" : "1";
      expect([name, unit]).toEqual([name, wanted]);
    }
  }));

Deno.test("without an endpoint nothing is traced, and messages carry no traceparent", () =>
  inFolder(async (folder) => {
    const headers = await Effect.runPromise(Effect.scoped(relay(folder, {})));
    expect(headers).toEqual(["", "", ""]);
  }));
