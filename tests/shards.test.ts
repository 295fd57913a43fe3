import { Blobs, Bus, Connection, FACTS, lagOfConsumer } from "@subtaxa/bus";
import {
  type BlobRef,
  decodeFeatures,
  decodePredictions,
  decodeViews,
  type Event,
  type EventOf,
  type EventType,
  isShardEvent,
  RunProgress,
  subjects,
} from "@subtaxa/contracts";
import { confusionOf, metricsOf } from "@subtaxa/metrics";
import { encodePretrained, runDataFiles } from "@subtaxa/model";
import { madeUpWeights } from "@subtaxa/model/testing";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect, Stream } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { type ServiceProcess, type SpreadFold, withSpreadFold } from "../scripts/bench/spread_fold.ts";
import type { EvaluatorWork } from "../services/evaluator/mod.ts";
import type { ExtractorWork } from "../services/extractor/mod.ts";
import { keptBlobs } from "./support.ts";

const env = { SUBTAXA_DETERMINISTIC: "1", SUBTAXA_ACK_WAIT: "3 seconds" };

/** 512 pixels: batches of 6 images, portions of 96. */
const [images, imageSize] = [640, 512];

/** Waits for the fact that a run's step ends with; the run's whole log then. */
const logUntil = <T extends EventType>(runId: string, type: T) =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    yield* bus.facts({ filter: subjects.run(runId) }).pipe(
      Stream.takeUntil(({ event }) => event.type === type || event.type === "run.failed"),
      Stream.runDrain,
    );
    const events = (yield* bus.history(subjects.run(runId))).map(({ event }) => event);
    const ends = events.filter((event): event is EventOf<T> => event.type === type);
    expect(events.filter((event) => event.type === "run.failed")).toEqual([]);
    expect(ends).toHaveLength(1);
    return { events, end: ends[0]! };
  });

/** Portions done, by instance. Each is done once, and a shard's facts are one portion further each. */
const portionsBy = (events: readonly Event[]) => {
  const facts = events.filter(isShardEvent);
  const laid = facts.filter(({ portions }) => portions.length === 0);
  expect(laid.map(({ shard }) => shard)).toEqual(laid.map((_, i) => i));
  expect(laid).toHaveLength(facts[0]!.division.shards);
  const done = facts.filter(({ portions }) => portions.length > 0);
  const places = done.map(({ shard, portions }) => `${shard}/${portions.length}`);
  expect(new Set(places).size).toBe(places.length);
  return Map.groupBy(done, ({ by }) => by!);
};

/** Waits until a service has settled the message with this sequence, and all before. */
const settled = (service: "extractor" | "evaluator", seq: number) =>
  Effect.gen(function* () {
    const { jsm } = yield* Connection;
    yield* Effect.promise(() => jsm.consumers.info(FACTS, service)).pipe(
      Effect.repeat({
        until: ({ delivered, num_ack_pending }) => delivered.stream_seq >= seq && num_ack_pending === 0,
      }),
      Effect.timeout("60 seconds"),
    );
  });

/** So many instances of a service that ask for messages. */
const instances = (fold: SpreadFold, service: "extractor" | "evaluator", count: number) =>
  Effect.gen(function* () {
    const started = yield* Effect.forEach(Array.from({ length: count }), () => fold.start(service, env));
    yield* lagOfConsumer(service).pipe(
      Effect.catch(() => Effect.succeed({ waiting: 0 })), // nobody has made the consumer yet
      Effect.delay("200 millis"),
      Effect.repeat({ until: ({ waiting }) => waiting >= count }),
      Effect.timeout("60 seconds"),
    );
    return started;
  });

const planned = (fold: SpreadFold, runId: string): EventOf<"adaptation.planned"> => ({
  ...fold.head(runId),
  type: "adaptation.planned",
  classes: ["a"],
});

/** The features of all images at once, without any division. */
const atOnce = (event: EventOf<"adaptation.planned">) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    const outputFile = join(blobs.cacheFolder, "at-once");
    const worker = yield* TensorWorker.make<ExtractorWork>(
      new URL("../services/extractor/worker.ts", import.meta.url),
    );
    const input = { ...(yield* runDataFiles(event)), classes: event.classes };
    const range = { from: 0, to: (yield* worker.call("measureClasses", input)).images };
    const checkpointFile = yield* blobs.file(event.state.checkpoint!);
    yield* worker.call("embed", { ...input, checkpointFile, pretrainedFile: null, range, outputFile });
    const features = yield* Effect.promise(() => Deno.readFile(outputFile));
    yield* worker.call("listImages", { ...input, outputFile });
    return { features, images: yield* Effect.promise(() => Deno.readFile(outputFile)) };
  }).pipe(Effect.scoped);

const read = (ref: BlobRef) => Effect.flatMap(Blobs, (blobs) => blobs.get(ref));

/** Two extractors share a step; then one is killed in the middle of the next, which the other one does alone. */
const extraction = (fold: SpreadFold) =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const workers = yield* instances(fold, "extractor", 2);
    const isOf = ({ pid }: ServiceProcess) => (by: string | undefined) => by?.endsWith(`-${pid}`) === true;

    yield* bus.publish(planned(fold, "shared"));
    const shared = yield* logUntil("shared", "features.extracted");
    const by = portionsBy(shared.events);
    for (const worker of workers) expect([...by.keys()].some(isOf(worker))).toBe(true);
    const whole = yield* atOnce(planned(fold, "shared"));
    // order and all, to the last bit
    expect(decodeFeatures(yield* read(shared.end.features))).toEqual(decodeFeatures(whole.features));
    expect(yield* read(shared.end.features)).toEqual(whole.features);
    expect(yield* read(shared.end.images!)).toEqual(whole.images);
    expect(yield* keptBlobs("shared", 1)).toEqual([shared.end.features.key]);

    const [victim, survivor] = workers as [ServiceProcess, ServiceProcess];
    const { nc } = yield* Connection;
    const progress = nc.subscribe("progress.run.killed");
    yield* Effect.promise(() => nc.flush()); // from now on the server sends it
    yield* bus.publish(planned(fold, "killed"));
    yield* Effect.promise(async () => {
      for await (const message of progress) {
        if (isOf(victim)(RunProgress.parse(message.json()).part?.instance)) return;
      }
    });
    victim.kill("SIGKILL");
    const killed = yield* logUntil("killed", "features.extracted");
    expect([...portionsBy(killed.events).keys()].every(isOf(survivor))).toBe(true);
    expect(killed.end.features.sha256).toBe(shared.end.features.sha256);

    // a shard that comes once more, after the step is over, changes nothing
    const last = (yield* bus.history(subjects.run("killed"))).length;
    const stale = shared.events.find(isShardEvent)!;
    const { seq } = yield* bus.publish({ ...stale, runId: "killed", portions: [], shard: 15 });
    yield* settled("extractor", seq);
    expect(yield* bus.history(subjects.run("killed"))).toHaveLength(last + 1);
  }).pipe(Effect.scoped);

/** Two evaluators share the held-out images. */
const evaluation = (fold: SpreadFold) =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const workers = yield* instances(fold, "evaluator", 2);
    const matrix = [[1, 0], [0, 1]];
    const validated: EventOf<"epoch.validated"> = {
      ...fold.head("scored"),
      type: "epoch.validated",
      ...{ loss: 1, metrics: metricsOf(matrix), confusion: matrix, falseNegatives: [0, 0] },
      converged: "epochs",
    };
    yield* bus.publish(validated);
    const { events, end } = yield* logUntil("scored", "fold.completed");
    const by = [...portionsBy(events).keys()];
    for (const { pid } of workers) expect(by.some((one) => one.endsWith(`-${pid}`))).toBe(true);

    const blobs = yield* Blobs;
    const outputFile = join(blobs.cacheFolder, "at-once");
    const worker = yield* TensorWorker.make<EvaluatorWork>(
      new URL("../services/evaluator/worker.ts", import.meta.url),
    );
    const input = { ...(yield* runDataFiles(validated)), part: "test" } as const;
    const range = { from: 0, to: (yield* worker.call("measure", input)).images };
    const checkpointFile = yield* blobs.file(validated.state.best!.checkpoint);
    yield* worker.call("classify", { ...input, checkpointFile, range, outputFile });
    const whole = yield* Effect.promise(() => Deno.readFile(outputFile));
    expect(yield* read(end.predictions)).toEqual(whole);
    const predictions = decodePredictions(whole);
    expect(end.confusion).toEqual(confusionOf(predictions.true, predictions.predicted, 2));
    expect(yield* keptBlobs("scored", 0)).toEqual([]);
  }).pipe(Effect.scoped);

/** Two folds wait for the features of one frozen backbone. */
const frozenBackbone = (fold: SpreadFold) =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    yield* instances(fold, "extractor", 1);
    const pretrained = yield* (yield* Blobs).put(encodePretrained(madeUpWeights("small", "keras")));
    const head = fold.head("frozen");
    for (const number of [0, 1]) {
      yield* bus.publish({
        ...{ ...head, type: "run.requested", fold: number, epoch: 0 },
        spec: { ...head.spec, folds: 2, freeze: "backbone", views: 8, pretrained },
        state: { ...head.state, checkpoint: null, best: null },
      });
    }
    const all = bus.facts({ filter: subjects.run("frozen") });
    const facts = yield* all.pipe(
      Stream.takeUntil(({ event }) => event.type === "backbone.extracted" && event.fold === 0),
      Stream.runCollect,
    );
    const events = [...facts].map(({ event }) => event);
    portionsBy(events);
    expect(events.filter(isShardEvent).every((event) => event.fold === 0)).toBe(true);
    const extracted = events.flatMap((event) => event.type === "backbone.extracted" ? [event] : []);
    // the one that did it for both speaks last
    expect(extracted.map((event) => event.fold)).toEqual([1, 0]);
    const [one, other] = extracted.map(({ state }) => state.frozen!);
    expect(one).toEqual(other);
    const features = decodeViews(yield* read(one!));
    expect(Array.from(features.image)).toEqual(Array.from({ length: fewImages }, (_, i) => i));
    expect([features.views, features.dimension]).toEqual([8, 64]);
    expect(features.values).toHaveLength(fewImages * 8 * 64);
    expect(yield* keptBlobs("frozen", 0)).toEqual([]);
  }).pipe(Effect.scoped);

/** Two portions. */
const fewImages = 130;

const inFolder = async (use: (folder: string) => Promise<void>) => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-shards-" });
  // for the workers of this process, which say what is right; they set more, which other tests must not find
  const before = new Set(Object.keys(Deno.env.toObject()));
  Deno.env.set("SUBTAXA_DETERMINISTIC", "1");
  try {
    await use(folder);
  } finally {
    for (const name of Object.keys(Deno.env.toObject())) if (!before.has(name)) Deno.env.delete(name);
    await Deno.remove(folder, { recursive: true });
  }
};

Deno.test("a step is spread over instances, survives their death, and is put together once and as if done at once", () =>
  inFolder((folder) =>
    Effect.runPromise(Effect.scoped(
      withSpreadFold(
        { folder, images, imageSize },
        (fold) => Effect.andThen(extraction(fold), evaluation(fold)),
      ),
    ))
  ));

Deno.test("a frozen backbone's features are made once for all folds, in shards too", () =>
  inFolder((folder) =>
    Effect.runPromise(Effect.scoped(withSpreadFold({ folder, images: fewImages, imageSize }, frozenBackbone)))
  ));
