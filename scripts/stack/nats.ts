import { type BusError, isNewEnough, type NatsServer, OLDEST_SERVER, startNatsServer } from "@subtaxa/bus";
import { Clock, Deferred, Effect, Schedule, type Scope } from "effect";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { run } from "../setup/mod.ts";
import type { ProcessView } from "./process_view.ts";
import { StackError } from "./error.ts";
import { makePauses, type Timing } from "./timing.ts";

/** A nats-server of the machine's own, if there is one on the PATH that is new enough; one that isn't is told of. */
export const natsServerOnPath = (
  log: (line: string) => void,
  path = Deno.env.get("PATH") ?? "",
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const folders = path.split(":").filter((folder) => folder !== "");
    const found = folders.map((folder) => join(folder, "nats-server")).find(existsSync);
    if (found === undefined) return undefined;
    // one that can't be run, such as another machine's, is none that could be used
    const said = yield* run(found, ["--version"]).pipe(Effect.catchDefect(() => Effect.succeed(undefined)));
    const version = /v?\d+\.\d+\.\d+\S*/.exec(said?.stdout ?? "")?.[0];
    if (version !== undefined && isNewEnough(version)) return found;
    log(`${found} is passed over (${version ?? "it tells no version"}): ${OLDEST_SERVER} or newer is needed`);
    return undefined;
  });

/** The name of NATS in `ps`. */
export const NATS = "nats";

/**
 * Starts nats-server and keeps it running until the scope closes: after a crash it comes back on the same port with the
 * same files, and the services reconnect by themselves. Returns its URL once it listens.
 */
export const superviseNats = (options: {
  readonly binary: string;
  readonly folder: string;
  /** Default: a free one. */
  readonly port: number | undefined;
  readonly timing: Timing;
  readonly log: (line: string) => void;
  readonly show: (view: ProcessView) => void;
}): Effect.Effect<string, StackError, Scope.Scope> =>
  Effect.gen(function* () {
    const { binary, folder, log, show } = options;
    const started = yield* Deferred.make<NatsServer, BusError>();
    /** One life; returns the port, which the next one takes again. */
    const liveOnce = (port?: number): Effect.Effect<number, BusError> =>
      Effect.scoped(Effect.gen(function* () {
        const server = yield* startNatsServer({
          binary,
          folder,
          detached: true,
          ...(port === undefined ? {} : { port }),
        });
        const view = { service: NATS, pid: server.pid, port: server.port };
        show({ ...view, state: "ready" });
        log(`nats-server is ready (process ${server.pid}): NATS_URL=${server.url}`);
        yield* Deferred.succeed(started, server);
        const code = yield* server.ended;
        show({ ...view, port: 0, state: "stopped" });
        log(`nats-server ended with code ${code}; starting it again on port ${server.port}`);
        return server.port;
      }));
    const pauseAfter = makePauses(options.timing);
    yield* Effect.gen(function* () {
      let port = yield* liveOnce(options.port).pipe(
        Effect.tapError((error) => Deferred.fail(started, error)),
      );
      for (;;) {
        const began = yield* Clock.currentTimeMillis;
        port = yield* liveOnce(port).pipe(
          Effect.tapError(({ message }) => Effect.sync(() => log(message))),
          Effect.retry(Schedule.spaced("2 seconds")),
        );
        yield* Effect.sleep(pauseAfter((yield* Clock.currentTimeMillis) - began));
      }
    }).pipe(Effect.forkScoped);
    const server = yield* Deferred.await(started).pipe(
      Effect.mapError(({ message }) => StackError.of({ _tag: "NatsFailed", detail: message })),
    );
    return server.url;
  });
