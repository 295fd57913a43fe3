import { Bus } from "@subtaxa/bus";
import { type EventOf, RunProgress, subjects } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { withSpreadFold } from "../scripts/bench/spread_fold.ts";
import { type Span, startCollector } from "@subtaxa/service/testing";
import { ended, startRun, startWithOrganisms } from "./support.ts";

const epochs = 3;

/** As README says. */
const traceIdOf = (run: string, fold: number, epoch: number) =>
  createHash("sha256").update(`${run}:${fold}:${epoch}`).digest("hex").slice(0, 32);

const withCollector = async (
  use: (folder: string, env: Record<string, string>) => Effect.Effect<unknown, unknown>,
): Promise<readonly Span[]> => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-traces-" });
  const collector = startCollector();
  try {
    // the services end with the effect, and send what they have before
    await Effect.runPromise(use(folder, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }));
    return collector.spans;
  } finally {
    await collector.stop();
    await Deno.remove(folder, { recursive: true });
  }
};

const processed = (spans: readonly Span[], event: string) =>
  spans.filter(({ name }) => name === `process ${event}`);

Deno.test("a run's epochs are one trace each over all services that work on them, also when the trainer dies in one", async () => {
  let id = "";
  const spans = await withCollector((folder, telemetry) =>
    Effect.scoped(Effect.gen(function* () {
      const { stack, url, bus } = yield* startWithOrganisms(folder, {
        imagesPerClass: 24,
        env: { SUBTAXA_ACK_WAIT: "3 seconds", ...telemetry },
      });
      id = yield* startRun(url, {
        ...{ dataset: "organisms", imageSize: 32, epochs, batchSize: 16, folds: 2, seed: 1 },
        ...{ method: "clustering", confusionThreshold: 0.01, minClusterSize: 4, patience: epochs },
      });
      yield* Effect.gen(function* () {
        const bus = yield* Bus;
        yield* bus.listen(`progress.run.${id}`, RunProgress).pipe(
          Stream.filter(({ step, epoch }) => step === "train" && epoch === 2),
          Stream.take(1),
          Stream.runDrain,
        );
      }).pipe(Effect.provide(bus));
      Deno.kill(stack.processes().find(({ service }) => service === "trainer")!.pid, "SIGKILL");
      expect((yield* ended(url, id)).state).toBe("completed");
    }))
  );
  const mine = spans.filter(({ attributes }) =>
    attributes["subtaxa.run"] === id && "subtaxa.fold" in attributes
  );
  const wanted = [0, 1].flatMap((fold) =>
    Array.from({ length: epochs }, (_, i) => traceIdOf(id, fold, i + 1))
  );
  expect(new Set(mine.map(({ traceId }) => traceId))).toEqual(new Set(wanted));
  for (const fold of [0, 1]) {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const trace = spans.filter(({ traceId }) => traceId === traceIdOf(id, fold, epoch));
      const services = ["subtaxa-evaluator", "subtaxa-trainer"];
      if (epoch === 1) services.push("subtaxa-gateway"); // which asks for it
      // what the trainer did before it died, it may not have sent
      const seen = new Set(trace.map(({ service }) => service)).union(
        new Set(epoch === 1 ? ["subtaxa-trainer"] : []),
      );
      if (epoch < epochs) services.push("subtaxa-clusterer", "subtaxa-extractor");
      expect([...seen].sort()).toEqual(services.sort());
      expect(processed(trace, "epoch.trained").length).toBeGreaterThan(0);
      expect(processed(trace, "features.extracted").length > 0).toBe(epoch < epochs);
      // what a span says of the fold is what the trace is about
      for (const { attributes } of trace) {
        if ("subtaxa.fold" in attributes) expect(attributes["subtaxa.fold"]).toBe(fold);
      }
    }
  }
  // the message at which the trainer died was handled again, within the trace of its epoch
  const again = mine.filter(({ attributes }) => Number(attributes["subtaxa.delivery"]) > 1);
  expect(
    again.some(({ service, attributes }) =>
      service === "subtaxa-trainer" && attributes["subtaxa.outcome"] === "done"
    ),
  ).toBe(true);
});

Deno.test("the shards of a step belong to the trace of its epoch", async () => {
  const spans = await withCollector((folder, telemetry) =>
    Effect.scoped(
      // 512 pixels: batches of 6 images, portions of 96
      withSpreadFold({ folder, images: 150, imageSize: 512 }, (fold) =>
        Effect.gen(function* () {
          const bus = yield* Bus;
          yield* fold.start("extractor", telemetry);
          const planned: EventOf<"adaptation.planned"> = {
            ...fold.head("spread"),
            type: "adaptation.planned",
            classes: ["a", "b"],
          };
          yield* bus.publish(planned);
          yield* bus.facts({ filter: subjects.of("features.extracted", "*", "spread") }).pipe(
            Stream.take(1),
            Stream.runDrain,
          );
        }).pipe(Effect.scoped)),
    )
  );
  expect(new Set(spans.flatMap(({ attributes, traceId }) => "subtaxa.fold" in attributes ? [traceId] : [])))
    .toEqual(new Set([traceIdOf("spread", 0, 1)]));
  // laid out and done, each of two
  expect(processed(spans, "shard.advanced").map(({ attributes }) => attributes["subtaxa.shard"]).sort())
    .toEqual([0, 0, 1, 1]);
});
