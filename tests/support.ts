/** The application as the tests that cross services start it and talk to it. */
import { Objm } from "@nats-io/obj";
import { BUCKET, Bus, Connection } from "@subtaxa/bus";
import { DatasetView, Problem, RunView } from "@subtaxa/contracts";
import { ConfigProvider, Data, Duration, Effect, Layer, Schedule } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { drawDataset } from "../scripts/demo/images.ts";
import { type ServiceDefinition, startOwnStack } from "../scripts/stack/mod.ts";

/** The JSON of an answer; a problem is thrown with its detail. */
export const json = async (url: string, init?: RequestInit): Promise<unknown> => {
  const response = await fetch(url, init);
  const body = await response.json();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${Problem.parse(body).detail}`);
  return body;
};

export const post = (url: string, body: unknown): Promise<unknown> =>
  json(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** What a test waits for has not come. */
export class WaitedInVain extends Data.TaggedError("WaitedInVain")<{ readonly message: string }> {}

/** Far longer than anything takes, also on a busy machine: it ends a test that would hang for ever. */
const patience: Duration.Input = "15 minutes";

/** Asks again until the answer is as wanted; fails with `what` was waited for when it never is. */
export const until = <A>(
  what: string,
  ask: () => Promise<A>,
  wanted: (answer: A) => boolean,
  limit: Duration.Input = patience,
): Effect.Effect<A, WaitedInVain> =>
  Effect.promise(ask).pipe(
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: wanted }),
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          new WaitedInVain({
            message: `${what}: waited in vain for ${Duration.format(Duration.fromInputUnsafe(limit))}`,
          }),
        ),
    }),
  );

/**
 * All services, until the scope ends, and the data set `organisms`, drawn for them (32 pixels) and imported. `bus`: a
 * client of the same NATS.
 */
export const startWithOrganisms = (
  folder: string,
  { seed = 3, imagesPerClass, env = {}, services }: {
    readonly seed?: number;
    readonly imagesPerClass: number;
    readonly env?: Readonly<Record<string, string>>;
    /** One of each, where left out. */
    readonly services?: readonly ServiceDefinition[];
  },
) =>
  Effect.gen(function* () {
    const images = join(folder, "organisms");
    yield* drawDataset(images, { seed, imagesPerClass, side: 32 });
    const stack = yield* startOwnStack({
      dataFolder: join(folder, "data"),
      env: { SUBTAXA_DATA_ROOTS: folder, ...env },
      ...(services && { services }),
    });
    yield* stack.ready;
    const url = `${stack.url}/v1`;
    yield* Effect.promise(() => post(`${url}/datasets`, { name: "organisms", path: images }));
    const dataset = yield* until(
      "the import of the organisms",
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
export const ended = (url: string, id: string): Effect.Effect<RunView, WaitedInVain> =>
  until(
    `the end of the run ${id}`,
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
