import { Effect, Schedule, type Scope } from "effect";
import { BusError } from "./error.ts";

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Waits for the end of the process; its exit code. */
  readonly ended: Effect.Effect<number>;
  /** Ends the process as a crash would; for tests of restarts. */
  readonly kill: Effect.Effect<void>;
}

const failed = (message: string, cause?: unknown) =>
  new BusError({ reason: { _tag: "Unreachable" }, message, cause });

/**
 * Starts nats-server with JetStream on the loopback interface, its files below `folder`, and waits until it listens.
 * It is ended (SIGTERM) when the scope closes. Without `port`, the server takes a free one.
 * `detached`: in a session of its own, so that Ctrl-C in the terminal reaches only whoever started it.
 */
export const startNatsServer = (
  { binary, folder, port = -1, detached = false }: {
    readonly binary: string;
    readonly folder: string;
    readonly port?: number;
    readonly detached?: boolean;
  },
): Effect.Effect<NatsServer, BusError, Scope.Scope> =>
  Effect.gen(function* () {
    const portsFolder = `${folder}/ports`;
    const child = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          await Deno.remove(portsFolder, { recursive: true }).catch(() => undefined);
          await Deno.mkdir(portsFolder, { recursive: true });
          // deno-fmt-ignore
          const args = [
            "--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder,
            "--ports_file_dir", portsFolder, "--log", `${folder}/nats.log`,
          ];
          return new Deno.Command(binary, { args, detached, stdin: "null", stdout: "null", stderr: "null" })
            .spawn();
        },
        catch: (cause) => failed(`could not start ${binary}: ${cause}`, cause),
      }),
      (child) =>
        Effect.promise(async () => {
          try {
            child.kill("SIGTERM");
          } catch {
            return; // it has ended already
          }
          await child.status;
        }),
    );
    const portsFile = `${portsFolder}/nats-server_${child.pid}.ports`;
    const listening = Effect.tryPromise(async () => {
      const { nats } = JSON.parse(await Deno.readTextFile(portsFile)) as { nats: string[] };
      return Number(new URL(nats[0]!).port);
    }).pipe(Effect.retry(Schedule.spaced("10 millis")), Effect.orDie);
    const ended = Effect.promise(() => child.status).pipe(
      Effect.flatMap(({ code }) =>
        Effect.fail(failed(`nats-server ended with code ${code}; see ${folder}/nats.log`))
      ),
    );
    const chosen = yield* listening.pipe(
      Effect.raceFirst(ended),
      Effect.timeoutOrElse({
        duration: "15 seconds",
        orElse: () =>
          Effect.fail(failed(`nats-server did not listen within 15 seconds; see ${folder}/nats.log`)),
      }),
    );
    return {
      url: `nats://127.0.0.1:${chosen}`,
      port: chosen,
      pid: child.pid,
      ended: Effect.promise(() => child.status).pipe(Effect.map(({ code }) => code)),
      kill: Effect.promise(async () => {
        child.kill("SIGKILL");
        await child.status;
      }),
    };
  });
