/** What the tests of this folder share: a real server, events, a handler that remembers. */
import {
  CONTRACT_VERSION,
  type Event,
  type EventOf,
  type Failure,
  initialFoldState,
  type Metrics,
  RunRequest,
  specOf,
  subjects,
} from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Data, Effect, Layer, Queue, type Scope } from "effect";
import { Blobs, Bus, Connection, KeyValue, type Outcome, startNatsServer } from "./mod.ts";

export const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
export const blob = { key: "sha256-00", sha256: "0".repeat(64), bytes: 0 };
export const runRequested = (runId: string, fold = 0): EventOf<"run.requested"> => {
  const classes = ["a", "b"];
  return {
    type: "run.requested",
    v: CONTRACT_VERSION,
    at: new Date().toISOString(),
    runId,
    fold,
    epoch: 0,
    spec: specOf(RunRequest.parse({ dataset: "d" }), { manifest: blob, classes }),
    state: initialFoldState(classes),
  };
};
export const trained = (cause: EventOf<"run.requested">): Event => ({
  ...cause,
  type: "epoch.trained",
  epoch: 1,
  training: { loss: 1, crossEntropy: 1, images: 2, seconds: 1, subclasses: 2 },
});
export const perfect: Metrics = {
  ...{ accuracy: 1, precision: 1, recall: 1, fScore: 1, perfectClasses: 2 },
  ...{ falseNegativeVariance: 0, falsePositiveVariance: 0 },
  ...{ falsePositiveRateVariance: 0, falseDiscoveryRateVariance: 0 },
};
export const cancelled = (runId: string): Event => ({
  type: "run.cancelled",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  runId,
});

export class Trouble extends Data.TaggedError("Trouble")<{ retryable: boolean }> implements Failure {
  readonly reason = { _tag: "Planted" };
  override readonly message = "planted trouble";
}

type Services = Bus | Blobs | Connection | KeyValue | Scope.Scope;

/** One nats-server and one folder for the test; `another` is a second client with a cache of its own. */
export const withNats = (
  body: (context: {
    folder: string;
    server: { url: string; port: number; kill: Effect.Effect<void> };
    another: (name: string) => Layer.Layer<Bus | Blobs | Connection>;
  }) => Effect.Effect<void, unknown, Services>,
  ackWait = "1 second",
) =>
async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-bus-" });
  const program = Effect.gen(function* () {
    const server = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const client = (name: string) => {
      const env = ConfigProvider.layer(ConfigProvider.fromUnknown({
        NATS_URL: server.url,
        SUBTAXA_DATA: `${folder}/${name}`,
        SUBTAXA_ACK_WAIT: ackWait,
        SUBTAXA_MAX_DELIVER: "3",
      }));
      const connection = Connection.layer(name).pipe(Layer.provide(env));
      const rest = Layer.mergeAll(Bus.layer, Blobs.layer.pipe(Layer.provide(env)), env);
      return Layer.fresh(rest.pipe(Layer.provideMerge(connection), Layer.orDie));
    };
    const env = ConfigProvider.layer(ConfigProvider.fromUnknown({}));
    yield* body({ folder, server, another: client }).pipe(
      Effect.provide(KeyValue.layer("test").pipe(Layer.provide(env), Layer.provideMerge(client("one")))),
    );
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** Collects what a handler is given; `next` waits for the next one. */
export const recorder = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Event>();
  return {
    note: (event: Event) => Queue.offer(queue, event),
    next: Queue.take(queue).pipe(Effect.timeout("60 seconds")),
  };
});
export const nothing: Outcome = { events: [] };
export const takeAll = { durable: "worker", filters: [subjects.of("run.requested")] };
