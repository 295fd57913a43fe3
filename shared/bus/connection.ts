import {
  DiscardPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager, StreamUpdateConfig } from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { subjects } from "@subtaxa/contracts";
import { Config, Context, Duration, Effect, Layer, Option } from "effect";
import { attempt, BusError } from "./error.ts";
import { type Keep, keepIn } from "./keep.ts";
import { type UntilReady, untilReady } from "./ready.ts";
import { isNewEnough, OLDEST_SERVER } from "./server_version.ts";

/** Facts: what happened, durable and replayable. */
export const FACTS = "SUBTAXA";
/** Messages that no handler could take, with the reason. */
export const DEAD = "SUBTAXA_DEAD";
/** The server's own notices that a message ran out of deliveries. */
export const EXHAUSTED = "SUBTAXA_EXHAUSTED";

/** How long the server remembers message ids, so that a repeated publish is dropped. */
const duplicateWindow = Duration.hours(2);

/** The server's code for creating a stream that is there with other settings. */
const EXISTS_OTHERWISE = 10058;

/** Their settings, but for those that can't be changed and are alike. */
const streams: readonly (Partial<StreamUpdateConfig> & { readonly name: string })[] = [
  {
    name: FACTS,
    subjects: [subjects.all],
    duplicate_window: nanos(Duration.toMillis(duplicateWindow)),
    allow_direct: true,
  },
  { name: DEAD, subjects: ["dead.>"], max_age: nanos(Duration.toMillis(Duration.days(30))) },
  {
    name: EXHAUSTED,
    subjects: [`$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.${FACTS}.>`],
    max_age: nanos(Duration.toMillis(Duration.days(7))),
  },
];

/**
 * `NATS_URL` taken apart, `nats://user:password@host:port` or `nats://token@host:port`: the client wants credentials beside
 * the address, and messages must not show them. Throws where they are malformed.
 */
export const serverOf = (url: string) => {
  const [, scheme = "", userInfo, host = ""] = /^(\w+:\/\/)?(?:(.*)@)?(.*)$/.exec(url) ?? [];
  const server = { servers: scheme + host };
  if (userInfo === undefined) return server;
  const [user = "", pass] = userInfo.split(":").map(decodeURIComponent);
  return pass === undefined ? { ...server, token: user } : { ...server, user, pass };
};

const tooOld = (address: string, version: string) =>
  new BusError({
    reason: { _tag: "TooOld", version },
    message: `NATS at ${address} is nats-server ${version}, which is too old: ${OLDEST_SERVER} or newer is ` +
      "needed, for consumers that take several subjects",
  });

const lostBy = (address: string, cause: Error) =>
  new BusError({
    reason: { _tag: "Closed" },
    message: `NATS at ${address} has closed this service's connection for good (${cause.message}): if its ` +
      "credentials were changed, NATS_URL must have the new ones",
    cause,
  });

/**
 * One connection to NATS, with the streams in place. Reconnects while it may, and is `lost` when it may no more; drained when
 * its scope closes.
 */
export class Connection extends Context.Service<Connection, {
  readonly service: string;
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** Fails when the connection is closed for good although nobody here has closed it, as after credentials were changed. */
  readonly lost: Effect.Effect<never, BusError>;
  readonly keep: Keep;
  /** For what is made in NATS when a service starts: waits while the servers are still forming a cluster. */
  readonly untilReady: UntilReady;
}>()("subtaxa/bus/Connection") {
  /**
   * `service` names the client at the server and is the source of every event. Reads `NATS_URL`, `SUBTAXA_REPLICAS` and
   * `SUBTAXA_NATS_WAIT`, for which it waits for a server that isn't there yet.
   */
  static readonly layer = (service: string) =>
    Layer.effect(
      Connection,
      Effect.gen(function* () {
        const { url, replicas, limit } = yield* Config.all({
          url: Config.String("NATS_URL").pipe(Config.withDefault("nats://127.0.0.1:4222")),
          replicas: Config.option(Config.Int("SUBTAXA_REPLICAS")),
          limit: Config.Duration("SUBTAXA_NATS_WAIT").pipe(Config.withDefault(Duration.minutes(2))),
        });
        const server = yield* attempt("read NATS_URL", () => Promise.resolve(serverOf(url)));
        const wait = untilReady({
          address: server.servers,
          replicas: Option.getOrElse(replicas, () => 1),
          limit,
        });
        const nc = yield* wait(Effect.acquireRelease(
          attempt(`connect to NATS at ${server.servers}`, () =>
            connect({
              ...server,
              name: service,
              maxReconnectAttempts: -1,
              reconnectTimeWait: 250,
              timeout: 5_000,
            })),
          (nc) =>
            Effect.promise(() => nc.drain().catch(() => nc.close())).pipe(Effect.timeoutOption("5 seconds")),
        ));
        const { version } = nc.info!; // there is one once it is connected
        if (!isNewEnough(version)) return yield* tooOld(server.servers, version);
        const jsm = yield* wait(
          attempt("ask NATS for JetStream (is the server started with -js?)", () => jetstreamManager(nc)),
        );
        const keep: Keep = (step) => wait(keepIn(jsm, replicas)(step));
        for (const { name, ...settings } of streams) {
          yield* keep({
            what: `the stream ${name}`,
            stream: name,
            make: (num_replicas) =>
              jsm.streams.add({
                ...settings,
                name,
                storage: StorageType.File,
                retention: RetentionPolicy.Limits,
                discard: DiscardPolicy.Old,
                num_replicas,
              }).catch((cause) => {
                if (!(cause instanceof JetStreamApiError && cause.code === EXISTS_OTHERWISE)) throw cause;
              }),
            settings,
          });
        }
        const lost = Effect.promise(() => nc.closed()).pipe(
          Effect.flatMap((cause) => cause ? Effect.fail(lostBy(server.servers, cause)) : Effect.never),
        );
        return Connection.of({ service, nc, js: jetstream(nc), jsm, lost, keep, untilReady: wait });
      }),
    );
}
