import type { StreamInfo } from "@nats-io/jetstream";
import { CONTRACT_VERSION } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Fiber, Layer, Logger, Queue, Schedule, type Scope } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { DEAD, EXHAUSTED, FACTS } from "./connection.ts";
import { Blobs, Bus, Connection, consume, KeyValue, registerConsumer, startNatsServer } from "./mod.ts";

const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
const SIZE = 3;

const freePorts = (count: number): number[] => {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
};

/** A cluster of three servers with JetStream, none of them started yet. */
const cluster = (folder: string) => {
  const ports = freePorts(2 * SIZE);
  const routes = ports.slice(SIZE).map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
  const start = (index: number): Effect.Effect<{ kill: Effect.Effect<void> }, never, Scope.Scope> =>
    Effect.gen(function* () {
      const path = join(folder, `${index}.conf`);
      yield* Effect.promise(() =>
        Deno.writeTextFile(
          path,
          `server_name: "n${index}"
          listen: "127.0.0.1:${ports[index]}"
          jetstream { store_dir: "${join(folder, String(index))}", max_file_store: 1GB }
          cluster { name: "c", listen: "127.0.0.1:${ports[SIZE + index]}", routes: [${routes}] }`,
        )
      );
      const end = async (child: Deno.ChildProcess) => {
        child.kill("SIGKILL");
        await child.status;
      };
      let running = true;
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Deno.Command(binary, { args: ["--config", path], stdout: "null", stderr: "null" }).spawn()
        ),
        (child) => running ? Effect.promise(() => end(child)) : Effect.void,
      );
      return {
        kill: Effect.promise(() => {
          running = false;
          return end(child);
        }),
      };
    });
  return { url: `nats://127.0.0.1:${ports[0]}`, start };
};

const inFolder = (body: (folder: string) => Effect.Effect<void, unknown, Scope.Scope>) => async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-ready-" });
  try {
    await Effect.runPromise(Effect.scoped(body(folder)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const copies = (streams: readonly StreamInfo[]) =>
  streams.map(({ config }) => [config.name, config.num_replicas]).sort();

const environment = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromUnknown(env));

Deno.test(
  "a service that starts before its cluster has formed waits, says so, and goes on; another number of copies is taken over",
  inFolder((folder) =>
    Effect.gen(function* () {
      const { url, start } = cluster(folder);
      const said = yield* Queue.unbounded<string>();
      const logger = Logger.layer([
        Logger.make(({ message }) => Queue.offerUnsafe(said, [message].flat().join(" "))),
      ]);
      const env = environment({ NATS_URL: url, SUBTAXA_REPLICAS: "3", SUBTAXA_DATA: folder });
      const started = yield* Effect.gen(function* () {
        const { jsm } = yield* Connection;
        yield* registerConsumer({ durable: "worker", filters: ["subtaxa.>"] });
        const streams = yield* Effect.promise(() => Array.fromAsync(jsm.streams.list()));
        const consumer = yield* Effect.promise(() => jsm.consumers.info(FACTS, "worker"));
        return { streams, consumer };
      }).pipe(
        Effect.provide(
          Layer.mergeAll(Blobs.layer, KeyValue.layer("test")).pipe(
            Layer.provideMerge(Connection.layer("worker")),
            Layer.provide(env),
          ),
        ),
        Effect.provide(logger),
        Effect.forkScoped,
      );
      const hear = (pattern: RegExp) =>
        Queue.take(said).pipe(
          Effect.repeat({ until: (line) => pattern.test(line) }),
          Effect.raceFirst(Fiber.join(started)), // if it ends with an error, that is the answer
        );
      yield* hear(/^waiting for NATS: could not connect/);
      yield* start(0);
      // alone it can't elect a leader, and answers nothing at first, then that it is not available
      yield* hear(/^waiting for NATS: could not ask NATS for JetStream.*: timeout/);
      yield* hear(/^waiting for NATS: could not ask NATS for JetStream.*temporarily unavailable/);
      yield* start(1);
      yield* start(2);
      const { streams, consumer } = yield* Fiber.join(started);
      yield* hear(/^no longer waiting for NATS/);
      expect(copies(streams)).toEqual([
        ["KV_test", 3],
        ["OBJ_subtaxa-blobs", 3],
        [FACTS, 3],
        [DEAD, 3],
        [EXHAUSTED, 3],
      ]);
      expect(consumer.cluster?.replicas).toHaveLength(2);
      const again = (env: Record<string, string>) =>
        Effect.gen(function* () {
          const { jsm } = yield* Connection;
          return copies(yield* Effect.promise(() => Array.fromAsync(jsm.streams.list())));
        }).pipe(
          Effect.provide(
            Layer.mergeAll(Blobs.layer, KeyValue.layer("test")).pipe(
              Layer.provideMerge(Connection.layer("worker")),
              Layer.provide(environment({ NATS_URL: url, SUBTAXA_DATA: folder, ...env })),
              Layer.fresh,
            ),
          ),
        );
      // who asks for no number leaves what there is; who asks for another one gets it
      expect(yield* again({})).toEqual(copies(streams));
      expect(yield* again({ SUBTAXA_REPLICAS: "1" })).toEqual(copies(streams).map(([name]) => [name, 1]));
    })
  ),
);

Deno.test(
  "when the server that leads the facts is killed, a service that runs goes on with the others",
  inFolder((folder) =>
    Effect.gen(function* () {
      const { url, start } = cluster(folder);
      const servers = [yield* start(0), yield* start(1), yield* start(2)];
      const env = environment({ NATS_URL: url, SUBTAXA_REPLICAS: "3", SUBTAXA_DATA: folder });
      yield* Effect.gen(function* () {
        const bus = yield* Bus;
        const { jsm } = yield* Connection;
        const settled = yield* Queue.unbounded<string>();
        const consumer = yield* consume({
          durable: "worker",
          filters: ["subtaxa.>"],
          onSettled: ({ event }) => Queue.offer(settled, event?.type === "run.cancelled" ? event.runId : ""),
        }, () => Effect.succeed({ events: [] })).pipe(Effect.forkScoped);
        const goesThrough = (runId: string) =>
          bus.publish({ type: "run.cancelled", v: CONTRACT_VERSION, at: new Date().toISOString(), runId })
            .pipe(
              Effect.retry(Schedule.spaced("1 second")), // longer than a request: an election takes its time
              Effect.andThen(Queue.take(settled).pipe(Effect.repeat({ until: (id) => id === runId }))),
              Effect.raceFirst(Fiber.join(consumer)),
            );
        yield* goesThrough("before");
        const { cluster: state } = yield* Effect.promise(() => jsm.streams.info(FACTS));
        yield* servers[Number(state!.leader!.slice(1))]!.kill;
        yield* goesThrough("after");
      }).pipe(Effect.provide(
        Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
          Layer.provideMerge(Connection.layer("worker")),
          Layer.provide(env),
        ),
      ));
    })
  ),
);

Deno.test(
  "a cluster that never forms ends the wait with what to do",
  inFolder((folder) =>
    Effect.gen(function* () {
      const { url, start } = cluster(folder);
      yield* start(0);
      const env = environment({ NATS_URL: url, SUBTAXA_REPLICAS: "3", SUBTAXA_NATS_WAIT: "8 seconds" });
      const error = yield* Layer.build(Connection.layer("worker").pipe(Layer.provide(env))).pipe(Effect.flip);
      expect(error).toMatchObject({ _tag: "BusError", reason: { _tag: "NotReady", seconds: 8 } });
      expect(error.message).toMatch(
        /not ready within 8s: could not ask NATS.*SUBTAXA_REPLICAS \(3\).*SUBTAXA_NATS_WAIT/,
      );
    })
  ),
);

Deno.test(
  "what waiting can't mend is said at once: more copies than a server alone can keep",
  inFolder((folder) =>
    Effect.gen(function* () {
      const { url } = yield* startNatsServer({ binary, folder });
      const env = environment({ NATS_URL: url, SUBTAXA_REPLICAS: "3" });
      const error = yield* Layer.build(Connection.layer("worker").pipe(Layer.provide(env))).pipe(Effect.flip);
      expect(error).toMatchObject({ _tag: "BusError", reason: { _tag: "Refused" } });
      expect(error.message).toContain("replicas > 1 not supported");
    })
  ),
);
