/** A fold whose next fact is published by hand, so that one step can be looked at alone: its services, as processes. */
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { Blobs, Bus, Connection, startNatsServer } from "@subtaxa/bus";
import { CONTRACT_VERSION, type EventOf, initialFoldState, RunRequest, specOf } from "@subtaxa/contracts";
import { type Checkpoint, encodeCheckpoint, firstCheckpoint } from "@subtaxa/model";
import { random } from "@subtaxa/random";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer, type Scope } from "effect";
import { join } from "node:path";
import { root, runArguments } from "../stack/mod.ts";

const SIDE = 16;
const classes = ["a", "b"];

/** Noise as a data set: blobs and the reference to its manifest. */
const noiseDataset = (images: number) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    const noise = random(7);
    const pixels = Uint8Array.from({ length: images * SIDE * SIDE }, () => noise.integer(256));
    const size = SIDE * SIDE;
    const { manifest, shards } = datasetAtRest({
      name: "noise",
      classes,
      images: Array.from({ length: images }, (_, i) => ({
        path: `${classes[i % 2]}/${i}.png`,
        class: i % 2,
        side: SIDE,
        data: pixels.subarray(i * size, (i + 1) * size),
      })),
    });
    for (const shard of shards) yield* blobs.put(shard);
    return yield* blobs.put(new TextEncoder().encode(JSON.stringify(manifest)));
  });

/** Random weights with statistics that change nothing: what inference needs. */
const withStatistics = (start: Checkpoint): Checkpoint => ({
  ...start,
  epoch: 1,
  statistics: new Map(
    [...start.parameters].filter(([name]) => name.endsWith("/gamma")).flatMap(([name, { shape, value }]) => [
      [name.replace(/gamma$/, "moving_mean"), { shape, values: value.map(() => 0) }] as const,
      [name.replace(/gamma$/, "moving_variance"), { shape, values: value.map(() => 1) }] as const,
    ]),
  ),
});

/** One process of a service. */
export interface ServiceProcess {
  readonly pid: number;
  readonly kill: (signal: Deno.Signal) => void;
}

const startService = (name: string, env: Record<string, string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        new Deno.Command(Deno.execPath(), {
          args: runArguments(join(root, "services", name, "main.ts")),
          env,
          ...{ stdin: "null", stdout: "null", stderr: "inherit" },
        }).spawn()
      ),
      (child) =>
        Effect.promise(async () => {
          try {
            child.kill("SIGTERM");
          } catch {
            return; // it has ended
          }
          await child.status;
        }),
    ),
    (child): ServiceProcess => ({ pid: child.pid, kill: (signal) => child.kill(signal) }),
  );

export interface SpreadFold {
  /** What the facts of this run have in common: a random network, every class allowed two clusters. */
  readonly head: (runId: string) => Omit<EventOf<"run.requested">, "type">;
  /** Starts an instance of a service; it ends with the scope. */
  readonly start: (
    service: "extractor" | "evaluator",
    env?: Record<string, string>,
  ) => Effect.Effect<ServiceProcess, never, Scope.Scope>;
}

/**
 * Runs `use` with a server and noise images of a data set at a size, below `folder`: the network is `small`.
 */
export const withSpreadFold = <A, E, R>(
  { folder, images, imageSize }: {
    readonly folder: string;
    readonly images: number;
    readonly imageSize: number;
  },
  use: (fold: SpreadFold) => Effect.Effect<A, E, R>,
) =>
  Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const nats = yield* startNatsServer({ binary, folder: join(folder, "nats") });
    const env = { NATS_URL: nats.url, SUBTAXA_DATA: join(folder, "data"), SUBTAXA_PROBE_PORT: "0" };
    const connection = Layer.provide(
      Connection.layer("test"),
      ConfigProvider.layer(ConfigProvider.fromUnknown(env)),
    );
    const bus = Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
      Layer.provideMerge(connection),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
    );
    return yield* Effect.gen(function* () {
      const request = RunRequest.parse({ dataset: "noise", imageSize, sizeFeatures: false });
      const spec = specOf(request, { classes, manifest: yield* noiseDataset(images) });
      const weights = encodeCheckpoint(withStatistics(firstCheckpoint(spec, 0, null)));
      const checkpoint = yield* (yield* Blobs).put(weights);
      const state = initialFoldState(classes);
      const best = { epoch: 1, fScore: 0.5, checkpoint, labels: null };
      return yield* use({
        head: (runId) => ({
          v: CONTRACT_VERSION,
          at: new Date().toISOString(),
          ...{ runId, fold: 0, epoch: 1, spec },
          state: {
            ...state,
            checkpoint,
            best,
            classes: state.classes.map((one) => ({ ...one, allowedClusters: 2 })),
          },
        }),
        start: (service, more = {}) => startService(service, { ...env, ...more }),
      });
    }).pipe(Effect.provide(bus));
  });
