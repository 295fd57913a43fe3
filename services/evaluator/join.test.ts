import { datasetAtRest } from "@subtaxa/dataset/testing";
import { Blobs, Bus, Connection, startNatsServer } from "@subtaxa/bus";
import { type EventOf, isFoldEvent, subjects } from "@subtaxa/contracts";
import { syntheticRun } from "@subtaxa/runs/testing";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer, type Scope } from "effect";
import { expect } from "expect";
import { evaluate, Evaluator } from "./handlers.ts";
import { makeReport } from "./make_report.ts";
import { joinFolds } from "./scores.ts";

const withBus = (body: Effect.Effect<void, unknown, Bus | Blobs | Scope.Scope>) => async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-join-" });
  const program = Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const { url } = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: url, SUBTAXA_DATA: folder }));
    yield* body.pipe(Effect.provide(
      Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
        Layer.provide(Connection.layer("test")),
        Layer.provide(env),
      ),
    ));
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

Deno.test(
  "the fold that was completed last ends the run, also where a replica doesn't have it yet",
  withBus(Effect.gen(function* () {
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const classes = ["a", "b"];
    const images = Array.from({ length: 40 }, (_, i) => ({
      path: `${classes[i % 2]}/${i}.png`,
      class: i % 2,
      side: 1,
    }));
    const { manifest: whole, shards } = datasetAtRest({ name: "made-up", classes, images });
    for (const shard of shards) yield* blobs.put(shard);
    const manifest = yield* blobs.put(new TextEncoder().encode(JSON.stringify(whole)));
    const log = syntheticRun({ classes, epochs: 2, folds: 3, seed: 2, method: "standard" })
      .flatMap((event) => isFoldEvent(event) ? [{ ...event, spec: { ...event.spec, manifest } }] : []);
    const completed = log.filter((event) => event.type === "fold.completed");

    /** What a replica knows that is one fact behind. */
    const history: Bus["Service"]["history"] = (filter) =>
      Effect.map(bus.history(filter), (facts) => facts.slice(0, -1));
    const join = (event: EventOf<"fold.completed">) =>
      evaluate(event).pipe(
        Effect.provideService(Bus, Bus.of({ ...bus, history })),
        Effect.provideService(Evaluator, {} as Evaluator["Service"]), // joining needs no tensors
        Effect.map(({ events }) => events),
        Effect.timeout("60 seconds"),
      );

    const last = completed.at(-1)!;
    expect(log.at(-1)).toBe(last);
    for (const event of log) {
      yield* bus.publish(event);
      if (event.type === "fold.completed" && event !== last) expect(yield* join(event)).toEqual([]);
    }
    // the others are handled once more: only the last one goes on
    for (const event of completed.slice(0, -1)) expect(yield* join(event)).toEqual([]);
    const [end] = yield* join(last);
    if (end?.type !== "run.completed") throw new Error(`the run goes on: ${end?.type}`);
    expect(end.metrics).toEqual(joinFolds({ folds: 3 }, completed));
    const report = new TextDecoder().decode(yield* blobs.get(end.report));
    const facts = yield* bus.history(subjects.run(end.runId));
    expect(facts.length).toBe(log.length);
    expect(report === (yield* makeReport(facts.map(({ event }) => event), end.at))).toBe(true);
  })),
);
