/** The application as the tests that cross services start it and talk to it. */
import { Objm } from "@nats-io/obj";
import { BUCKET, Bus, Connection } from "@subtaxa/bus";
import { DatasetView, Problem, RunView } from "@subtaxa/contracts";
import { ConfigProvider, Effect, Layer, Schedule } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { drawDataset } from "../scripts/demo/images.ts";
import { startStack } from "../scripts/stack/mod.ts";

/** The JSON of an answer; a problem is thrown with its detail. */
export const json = async (url: string, init?: RequestInit): Promise<unknown> => {
  const response = await fetch(url, init);
  const body = await response.json();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${Problem.parse(body).detail}`);
  return body;
};

export const post = (url: string, body: unknown): Promise<unknown> =>
  json(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Asks again until the answer is as wanted; the test runner's own limit ends a vain wait. */
export const until = <A>(ask: () => Promise<A>, wanted: (answer: A) => boolean): Effect.Effect<A> =>
  Effect.promise(ask).pipe(Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: wanted }));

/**
 * All services, until the scope ends, and the data set `organisms`, drawn for them (32 pixels) and imported. `bus`: a
 * client of the same NATS.
 */
export const startWithOrganisms = (
  folder: string,
  { seed = 3, imagesPerClass, env = {} }: {
    readonly seed?: number;
    readonly imagesPerClass: number;
    readonly env?: Readonly<Record<string, string>>;
  },
) =>
  Effect.gen(function* () {
    const images = join(folder, "organisms");
    yield* drawDataset(images, { seed, imagesPerClass, side: 32 });
    const stack = yield* startStack({
      dataFolder: join(folder, "data"),
      port: 0,
      env: { SUBTAXA_DATA_ROOTS: folder, ...env },
    });
    yield* stack.ready;
    const url = `${stack.url}/v1`;
    yield* Effect.promise(() => post(`${url}/datasets`, { name: "organisms", path: images }));
    const dataset = yield* until(
      async () => DatasetView.parse(await json(`${url}/datasets/organisms`)),
      ({ state }) => state !== "importing",
    );
    expect(dataset.state).toBe("ready");
    const settings = ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: stack.natsUrl }));
    const bus = Bus.layer.pipe(Layer.provideMerge(Connection.layer("test").pipe(Layer.provide(settings))));
    return { stack, url, dataset, bus };
  });

/** Starts a run; its id. */
export const startRun = (url: string, request: Readonly<Record<string, unknown>>): Effect.Effect<string> =>
  Effect.promise(async () => (await post(`${url}/runs`, request) as { id: string }).id);

/** The run when it has ended. */
export const ended = (url: string, id: string): Effect.Effect<RunView> =>
  until(
    async () => RunView.parse(await json(`${url}/runs/${id}`)),
    ({ state }) => state !== "queued" && state !== "running",
  );

/** What is left of a run in the object store, once it owns no more blobs than wanted. */
export const keptBlobs = (runId: string, wanted: number) =>
  Effect.gen(function* () {
    const { nc } = yield* Connection;
    const store = yield* Effect.promise(() => new Objm(nc).open(BUCKET));
    return yield* Effect.promise(() => store.list()).pipe(
      Effect.map((all) => all.filter(({ name, deleted }) => !deleted && name.startsWith(`${runId}.`))),
      Effect.map((all) => all.map(({ name }) => name)),
      Effect.repeat({ until: (names) => names.length <= wanted }),
      Effect.timeout("10 seconds"),
    );
  });
