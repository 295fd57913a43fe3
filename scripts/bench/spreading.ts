import { Bus, Connection } from "@subtaxa/bus";
import { DatasetView, type Event, type EventOf, RunView, subjects } from "@subtaxa/contracts";
import { ConfigProvider, Effect, Layer, Stream } from "effect";
import { join } from "node:path";
import { z } from "zod";
import { figuresOf, parseFigures } from "../cli/mod.ts";
import { drawDataset } from "../demo/images.ts";
import { startOwnStack } from "../stack/mod.ts";
import type { Benchmark } from "./benchmark.ts";
import { BenchError } from "./peer.ts";
import { type SpreadFold, withSpreadFold } from "./spread_fold.ts";

const asBenchError = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.mapError(effect, ({ message }) => new BenchError({ message }));

/** Waits until somebody says it: the fact of this type, with what came before it. */
const until = (runId: string, type: Event["type"]) =>
  Effect.flatMap(Bus, (bus) =>
    bus.facts({ filter: subjects.run(runId) }).pipe(
      Stream.takeUntil(({ event }) => event.type === type || event.type === "run.failed"),
      Stream.runCollect,
    ));

/** Seconds from the plan to the features, as the facts tell them. */
const extraction = (fold: SpreadFold, runId: string) =>
  Effect.gen(function* () {
    const planned: EventOf<"adaptation.planned"> = {
      ...fold.head(runId),
      type: "adaptation.planned",
      classes: ["a", "b"],
    };
    yield* (yield* Bus).publish(planned);
    const facts = yield* until(runId, "features.extracted");
    const ended = facts.at(-1)?.event;
    if (ended?.type !== "features.extracted") return yield* new BenchError({ message: "no features came" });
    return (Date.parse(ended.at) - Date.parse(planned.at)) / 1000;
  });

/** What an extractor may use of the machine: one thread, so that two of them have a core each on a small one. */
const oneThread = { TF_NUM_INTRAOP_THREADS: "1", TF_NUM_INTEROP_THREADS: "1" };
const [images, imageSize] = [3600, 256];

/** A step that is spread over two extractors against the same with one. */
export const spreading: Benchmark = {
  name: `one epoch's extraction, small, ${imageSize}×${imageSize}, ${
    Math.round(0.7 * images)
  } images: two extractors, one TensorFlow thread each`,
  peerName: "one extractor, one TensorFlow thread",
  target: 1.7,
  rounds: 3,
  prepare: (folder) =>
    Effect.gen(function* () {
      let runs = 0;
      const alone: number[] = [];
      const together: number[] = [];
      // on one server; in every round the one instance first, and then with a second one, which ends with the round
      yield* withSpreadFold({ folder: join(folder, "spread"), images, imageSize }, (fold) =>
        Effect.gen(function* () {
          const work = () =>
            extraction(fold, `run-${++runs}`);
          yield* fold.start("extractor", oneThread);
          yield* work(); // the data set is resized, the network is in memory
          for (let round = 0; round < 3; round++) {
            alone.push(yield* work());
            yield* Effect.scoped(Effect.gen(function* () {
              yield* fold.start("extractor", oneThread);
              yield* work(); // the second one starts and loads
              together.push(yield* work());
            }));
          }
        })).pipe(Effect.scoped, asBenchError);
      const next = (figures: number[]) =>
        Effect.sync(() => figures.shift()!);
      return { ours: next(together), peer: next(alone) };
    }),
};

/** Seconds that the calls of a service's tensor worker have taken so far, its reading and writing of files included. */
const tensorSeconds = (port: number) =>
  Effect.promise(async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return figuresOf(parseFigures(text), "subtaxa_tensor_seconds_total")
      .reduce((sum, { value }) => sum + value, 0);
  });

const ask = <A>(url: string, schema: z.ZodType<A>, body?: unknown) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json" };
    const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    return schema.parse(await (await fetch(url, init)).json());
  });

interface Size {
  readonly backbone: "small" | "resnet50";
  readonly imageSize: number;
  readonly imagesPerClass: number;
  readonly epochs: number;
}

/**
 * A run of the demo's images with the real services, one of each: the seconds per epoch in which no tensor worker was at
 * work, and those in which one was. From the end of the first epoch to the held-out scores. What a worker reads, hashes and
 * encodes in its thread counts as its work: what is left is what events, blobs and handlers take.
 */
const epochsOf = (folder: string, { backbone, imageSize, imagesPerClass, epochs }: Size) =>
  Effect.gen(function* () {
    const organisms = join(folder, "organisms");
    yield* drawDataset(organisms, { seed: 3, imagesPerClass, side: imageSize });
    const stack = yield* startOwnStack({
      dataFolder: join(folder, "data"),
      env: { SUBTAXA_DATA_ROOTS: folder },
    });
    yield* stack.ready;
    const url = `${stack.url}/v1`;
    yield* ask(`${url}/datasets`, z.unknown(), { name: "organisms", path: organisms });
    yield* ask(`${url}/datasets/organisms`, DatasetView).pipe(
      Effect.delay("200 millis"),
      Effect.repeat({ until: ({ state }) => state !== "importing" }),
    );
    const { id } = yield* ask(`${url}/runs`, z.object({ id: z.string() }), {
      ...{ dataset: "organisms", backbone, imageSize, epochs, patience: epochs, confusionThreshold: 0.05 },
    });
    const run = ask(`${url}/runs/${id}`, RunView).pipe(Effect.delay("20 millis"));
    const workers = () => stack.processes().filter(({ service }) => !["gateway", "nats"].includes(service));
    const busySeconds = () =>
      Effect.map(
        Effect.forEach(workers(), ({ port }) => tensorSeconds(port)),
        (all) => all.reduce((sum, one) => sum + one, 0),
      );
    // while the second epoch is being trained, every counter says what was done up to the first one's end
    const isWarm = ({ history: [first], state }: RunView) =>
      first?.agreement !== undefined || state === "failed";
    yield* Effect.repeat(run, { until: isWarm });
    const before = yield* busySeconds();
    const end = yield* Effect.repeat(run, { until: ({ state }) => state !== "running" });
    const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: stack.natsUrl }));
    const facts = yield* Effect.flatMap(Bus, (bus) => bus.history(subjects.run(id))).pipe(
      Effect.provide(Bus.layer.pipe(Layer.provide(Connection.layer("bench")), Layer.provide(env))),
    );
    const began = facts.find(({ event }) => event.type === "dataset.relabelled");
    const scored = facts.findLast(({ event }) => event.type === "fold.completed");
    if (!began || !scored) {
      return yield* new BenchError({ message: `the run is ${end.state}: ${end.error?.message}` });
    }
    const seconds = (Date.parse(scored.event.at) - Date.parse(began.event.at)) / 1000;
    const busy = (yield* busySeconds()) - before;
    return { idle: (seconds - busy) / (epochs - 1), busy: busy / (epochs - 1) };
  }).pipe(Effect.scoped, asBenchError);

const overhead = (
  row: Pick<Benchmark, "name" | "peerName" | "target" | "unit">,
  size: Size,
  pair: (measured: { readonly idle: number; readonly busy: number }) => readonly [number, number],
): Benchmark => ({
  ...row,
  rounds: 1,
  prepare: (folder) =>
    Effect.map(epochsOf(folder, size), (measured) => {
      const [ours, peer] = pair(measured);
      return { ours: Effect.succeed(ours), peer: Effect.succeed(peer) };
    }),
});

/** What all events and blobs of an epoch take together, outside the threads that compute: in time where epochs are short, as a share where they are long. */
export const eventOverheads: readonly Benchmark[] = [
  overhead(
    {
      name: "all events of an epoch, small, 64×64: time outside the workers' calls",
      peerName: "the limit",
      unit: "ms",
      target: 1,
    },
    { backbone: "small", imageSize: 64, imagesPerClass: 1000, epochs: 5 },
    ({ idle }) => [1000 * idle, 300],
  ),
  overhead(
    {
      name: "all events of an epoch, resnet50, 96×96: time outside the workers' calls, below 1 % of theirs",
      peerName: "the workers' calls of the epoch",
      target: 100,
    },
    { backbone: "resnet50", imageSize: 96, imagesPerClass: 1000, epochs: 2 },
    ({ idle, busy }) => [idle, busy],
  ),
];
