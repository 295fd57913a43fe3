import { Clock, Deferred, Effect, Fiber, Schedule, type Scope, Stream } from "effect";
import { join } from "node:path";
import { z } from "zod";
import type { ProcessView } from "./process_view.ts";
import { StackError } from "./error.ts";
import { LogFile } from "./log_file.ts";
import { runArguments, type ServiceDefinition } from "./services.ts";
import { makePauses, type Timing } from "./timing.ts";

/** The log line by which a service says on which port it answers its probes. */
const Listening = z.object({
  message: z.union([z.literal("listening"), z.tuple([z.literal("listening")])]),
  annotations: z.object({ port: z.number().int() }),
});

const portIn = (line: string): number | undefined => {
  if (!line.includes("listening")) return undefined;
  try {
    return Listening.safeParse(JSON.parse(line)).data?.annotations.port;
  } catch {
    return undefined; // not a JSON line
  }
};

/** The last lines that a service wrote, for the message about its end. */
const keptLines = 12;

export interface SuperviseOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Where the services' probes are reached. */
  readonly address: string;
  readonly logFolder: string;
  readonly timing: Timing;
  readonly log: (line: string) => void;
  readonly show: (view: ProcessView) => void;
}

const answersReady = (address: string, port: number): Effect.Effect<boolean> =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://${address}:${port}/readyz`, { signal });
    await response.body?.cancel();
    return response.ok;
  }).pipe(
    Effect.timeout("5 seconds"),
    // It listens a moment before it answers, and it may crash in between: not ready is all there is to say.
    Effect.orElseSucceed(() => false),
  );

/** Starts the process in a session of its own (so that Ctrl-C in the terminal reaches only the supervisor). */
const start = (definition: ServiceDefinition, env: Readonly<Record<string, string>>): Deno.ChildProcess =>
  new Deno.Command(Deno.execPath(), {
    args: runArguments(definition.module),
    // Standard input stays open as long as this process lives; services end when it closes.
    env: { ...env, SUBTAXA_STOP_WITH_PARENT: "true", ...definition.env },
    detached: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();

const terminate = (child: Deno.ChildProcess, graceMillis: number): Effect.Effect<void> => {
  const kill = (signal: Deno.Signal) =>
    Effect.sync(() => {
      try {
        child.kill(signal);
      } catch {
        // it has ended already
      }
    });
  const ended = Effect.promise(() => child.status);
  return kill("SIGTERM").pipe(
    Effect.andThen(ended),
    Effect.timeoutOrElse({ duration: graceMillis, orElse: () => Effect.andThen(kill("SIGKILL"), ended) }),
    Effect.andThen(Effect.promise(() => child.stdin.close().catch(() => undefined))),
    Effect.asVoid,
  );
};

interface Ended {
  /** `ended with code 1`, `was ended by SIGKILL`. */
  readonly how: string;
  readonly wasReady: boolean;
  readonly lastLines: readonly string[];
}

/** One life of a service's process, from start to end. */
const liveOnce = (
  definition: ServiceDefinition,
  options: SuperviseOptions,
  onReady: (pid: number, port: number) => Effect.Effect<void>,
): Effect.Effect<Ended, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { name } = definition;
    const logFile = yield* Effect.acquireRelease(
      Effect.sync(() => new LogFile(join(options.logFolder, `${name}.log`))),
      (file) => Effect.sync(() => file.close()),
    );
    let writable = true;
    const keep = (line: string) => {
      try {
        logFile.write(line);
      } catch (cause) {
        // A full disk must not stop the reading, or the service would wait for ever with a full pipe.
        if (writable) options.log(`${logFile.path} can't be written: ${cause}`);
        writable = false;
      }
    };
    const lastLines: string[] = [];
    const listening = yield* Deferred.make<number>();
    const onLine = (line: string) =>
      Effect.suspend(() => {
        keep(line);
        lastLines.push(line.slice(0, 400));
        if (lastLines.length > keptLines) lastLines.shift();
        const port = portIn(line);
        return port === undefined ? Effect.void : Deferred.succeed(listening, port);
      });
    const pump = (stream: ReadableStream<Uint8Array>) =>
      Stream.fromReadableStream({ evaluate: () => stream, onError: (cause) => cause }).pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.runForEach(onLine),
        Effect.ignore, // the pipe broke: its process ends
      );
    const { child } = yield* Effect.acquireRelease(
      Effect.gen(function* () {
        const child = start(definition, options.env);
        const pumps = yield* Effect.forkDetach(
          Effect.all([pump(child.stdout), pump(child.stderr)], { concurrency: 2, discard: true }),
        );
        return { child, pumps };
      }),
      ({ child, pumps }) =>
        terminate(child, options.timing.grace).pipe(
          // What it wrote last is read too, unless something else keeps the pipe open.
          Effect.andThen(Fiber.await(pumps).pipe(Effect.timeoutOption("1 second"))),
          Effect.andThen(Fiber.interrupt(pumps)),
        ),
    );
    options.show({ service: name, pid: child.pid, port: 0, state: "starting" });
    let wasReady = false;
    yield* Effect.gen(function* () {
      const port = yield* Deferred.await(listening);
      options.show({ service: name, pid: child.pid, port, state: "starting" });
      yield* answersReady(options.address, port).pipe(
        Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (ready) => ready }),
      );
      wasReady = true;
      options.show({ service: name, pid: child.pid, port, state: "ready" });
      yield* onReady(child.pid, port);
    }).pipe(Effect.forkScoped);
    const { code, signal } = yield* Effect.promise(() => child.status);
    options.show({ service: name, pid: child.pid, port: 0, state: "stopped" });
    return { how: signal ? `was ended by ${signal}` : `ended with code ${code}`, wasReady, lastLines };
  });

/**
 * Keeps a service running until interrupted, which ends its process (SIGTERM, after the grace SIGKILL). A process that ends is
 * started again after a pause that doubles from crash to crash; one that never becomes ready is given up after a few
 * starts. Succeeds `firstReady` once.
 */
export const supervise = (
  definition: ServiceDefinition,
  firstReady: Deferred.Deferred<void>,
  options: SuperviseOptions,
): Effect.Effect<never, StackError> =>
  Effect.gen(function* () {
    const { timing, log } = options;
    const { name } = definition;
    const pauseAfter = makePauses(timing);
    let failedStarts = 0;
    for (;;) {
      const began = yield* Clock.currentTimeMillis;
      const life = yield* Effect.scoped(liveOnce(definition, options, (pid, port) => {
        log(`${name} is ready (process ${pid}, port ${port})`);
        return Deferred.succeed(firstReady, undefined);
      }));
      failedStarts = life.wasReady ? 0 : failedStarts + 1;
      if (failedStarts >= timing.startAttempts) {
        return yield* StackError.of({
          _tag: "ServiceGaveUp",
          service: name,
          attempts: failedStarts,
          ended: life.how,
          logFile: join(options.logFolder, `${name}.log`),
          lastLines: life.lastLines,
        });
      }
      const pause = pauseAfter((yield* Clock.currentTimeMillis) - began);
      log(`${name} ${life.how}; starting it again in ${(pause / 1000).toFixed(2)} s`);
      yield* Effect.sleep(pause);
    }
  });
