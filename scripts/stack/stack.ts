import { Deferred, Effect, type Scope } from "effect";
import { join, resolve } from "node:path";
import { ensureNative } from "../setup/mod.ts";
import type { ProcessView } from "./process_view.ts";
import { StackError } from "./error.ts";
import { remember } from "./identity.ts";
import { guard, takeOver } from "./leftovers.ts";
import { reachLoopbackDirectly } from "./loopback.ts";
import { natsServerOnPath, superviseNats } from "./nats.ts";
import { type Entry, removePidFile, writePidFile } from "./pid_file.ts";
import { type ServiceDefinition, servicesOf } from "./services.ts";
import { checkSettings, reachNats } from "./settings.ts";
import { supervise } from "./supervise.ts";
import { patience, type Timing } from "./timing.ts";

export interface StackOptions {
  /** Files of NATS, logs, up.json (`SUBTAXA_DATA`). */
  readonly dataFolder: string;
  /** Port of the gateway. Default: `SUBTAXA_PORT`, else 8080; 0 takes a free one. */
  readonly port?: number;
  /** A NATS server that runs already; "" starts one. Default: `NATS_URL`, and where that is empty, one is started. */
  readonly natsUrl?: string;
  /** Port of the NATS server that is started. Default: a free one. */
  readonly natsPort?: number;
  /** More environment for every service. */
  readonly env?: Readonly<Record<string, string>>;
  /** Hears what happens, a sentence each. Default: nobody. */
  readonly log?: (line: string) => void;
  /** Default: one of each. */
  readonly services?: readonly ServiceDefinition[];
  readonly timing?: Partial<Timing>;
}

/** The processes of one machine: NATS and the services. */
export interface Stack {
  /** The gateway's address. */
  readonly url: string;
  readonly natsUrl: string;
  /** What runs at present, NATS included when it was started here. */
  readonly processes: () => readonly ProcessView[];
  /** Waits until every service answered that it is ready. */
  readonly ready: Effect.Effect<void, StackError>;
  /** Fails when a service is given up; never returns otherwise. */
  readonly failed: Effect.Effect<never, StackError>;
}

/** The port itself, or a free one for 0, after trying that it can be listened on. */
const choosePort = (
  hostname: string,
  port: number,
  setting: string,
): Effect.Effect<number, StackError> =>
  Effect.try({
    try: () => {
      const listener = Deno.listen({ hostname, port });
      listener.close();
      return listener.addr.port;
    },
    catch: (cause) =>
      StackError.of(
        cause instanceof Deno.errors.AddrInUse ? { _tag: "PortTaken", port, setting } : {
          _tag: "PortRefused",
          port,
          setting,
          detail: cause instanceof Error ? cause.message : String(cause),
        },
      ),
  });

/** What runs, kept in memory and in up.json. */
const makeBoard = (dataFolder: string, url: string, log: (line: string) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const supervisor = remember(Deno.pid);
      const entries = new Map<string, Entry>();
      let natsUrl = "";
      const write = () => {
        try {
          writePidFile(dataFolder, { supervisor, url, natsUrl, processes: [...entries.values()] });
        } catch (cause) {
          log(`up.json is out of date, it can't be written: ${cause}`); // a full disk: the services go on
        }
      };
      write();
      return {
        show: (view: ProcessView) => {
          const before = entries.get(view.service);
          const began = before?.pid === view.pid ? before.began : remember(view.pid).began;
          entries.set(view.service, { ...view, began });
          write();
        },
        connected: (url: string) => {
          natsUrl = url;
          write();
        },
        processes: (): readonly ProcessView[] => [...entries.values()].map(({ began: _, ...view }) => view),
      };
    }),
    () => Effect.sync(() => removePidFile(dataFolder)),
  );

/**
 * Starts NATS (unless there is one) and the services as processes of their own, and keeps them running until the scope
 * closes, which drains the services and then ends NATS. Fetches native parts that are missing. If this process is killed,
 * all that it started ends too. Settings that can't work fail before anything is started.
 */
export const startStack = (options: StackOptions): Effect.Effect<Stack, StackError, Scope.Scope> =>
  Effect.gen(function* () {
    reachLoopbackDirectly();
    const { log = () => undefined, services = servicesOf() } = options;
    const timing = { ...patience, ...options.timing };
    const dataFolder = resolve(options.dataFolder);
    const logFolder = join(dataFolder, "logs");

    const { host, port: wanted } = yield* checkSettings({
      ...Deno.env.toObject(),
      ...options.env,
      ...(options.port === undefined ? {} : { SUBTAXA_PORT: String(options.port) }),
    });
    const natsGiven = options.natsUrl ?? Deno.env.get("NATS_URL");
    const { natsPort } = options;
    if (natsGiven && natsPort !== undefined) {
      return yield* StackError.of({
        _tag: "BadSetting",
        name: "--nats-port",
        value: String(natsPort),
        expected: "left out where NATS_URL names a server that runs already",
      });
    }
    if (natsGiven) yield* reachNats(natsGiven);

    yield* takeOver(dataFolder, { grace: timing.grace, log });
    const port = yield* choosePort(host, wanted, "SUBTAXA_PORT");
    const nats = natsPort === undefined ? undefined : yield* choosePort("127.0.0.1", natsPort, "--nats-port");
    const address = ["0.0.0.0", "::"].includes(host) ? "127.0.0.1" : host;
    const url = `http://${address}:${port}`;
    const board = yield* makeBoard(dataFolder, url, log);
    yield* guard(dataFolder);
    yield* Effect.promise(() => Deno.mkdir(logFolder, { recursive: true }));

    const native = yield* ensureNative().pipe(
      Effect.mapError(({ message }) => StackError.of({ _tag: "SetupFailed", detail: message })),
    );
    const natsUrl = natsGiven || (yield* superviseNats({
      binary: (yield* natsServerOnPath(log)) ?? native.natsServer,
      folder: join(dataFolder, "nats"),
      port: nats,
      timing,
      log,
      show: board.show,
    }));
    board.connected(natsUrl);

    const env = {
      ...options.env,
      NATS_URL: natsUrl,
      SUBTAXA_DATA: dataFolder,
      SUBTAXA_PORT: String(port),
      SUBTAXA_PROBE_PORT: "0",
    };
    const failure = yield* Deferred.make<never, StackError>();
    const supervised = yield* Effect.forEach(
      services,
      (definition) =>
        Effect.map(Deferred.make<void>(), (ready) => ({ name: definition.name, definition, ready })),
    );
    yield* Effect.all(
      supervised.map(({ definition, ready }) =>
        supervise(definition, ready, { env, address, logFolder, timing, log, show: board.show }).pipe(
          Effect.tapCause((cause) => Deferred.failCause(failure, cause)),
        )
      ),
      { concurrency: "unbounded", discard: true },
    ).pipe(Effect.forkScoped);

    const failed = Deferred.await(failure);
    const ready = Effect.forEach(supervised, ({ ready }) => Deferred.await(ready), { discard: true }).pipe(
      Effect.raceFirst(failed),
      Effect.timeoutOrElse({
        duration: timing.startTimeout,
        orElse: () =>
          Effect.fail(StackError.of({
            _tag: "NotReady",
            services: board.processes().filter(({ state }) => state !== "ready").map(({ service }) =>
              service
            ),
            seconds: timing.startTimeout / 1000,
          })),
      }),
    );
    return { url, natsUrl, processes: board.processes, ready, failed };
  });

/**
 * A stack that has nothing to do with the user's own: on a free port of this machine, with a NATS server of its own and
 * without a token, whatever the environment says.
 */
export const startOwnStack = (
  options: Omit<StackOptions, "port" | "natsUrl" | "natsPort">,
): Effect.Effect<Stack, StackError, Scope.Scope> =>
  startStack({
    ...options,
    port: 0,
    natsUrl: "",
    env: { ...options.env, SUBTAXA_HOST: "127.0.0.1", SUBTAXA_TOKEN: "" },
  });
