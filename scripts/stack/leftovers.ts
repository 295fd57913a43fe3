import { Effect, Schedule, type Scope } from "effect";
import { join } from "node:path";
import { StackError } from "./error.ts";
import { isAlive, stopProcess } from "./identity.ts";
import { NATS } from "./nats.ts";
import { readPidFile, removePidFile } from "./pid_file.ts";
import { root, runArguments } from "./services.ts";

/** The file whose advisory lock says who works on a data folder; the lock ends with its holder, however that dies. */
const openLock = (dataFolder: string): Effect.Effect<Deno.FsFile, StackError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        await Deno.mkdir(dataFolder, { recursive: true });
        return await Deno.open(join(dataFolder, "up.lock"), { create: true, write: true });
      },
      catch: (cause) => StackError.of({ _tag: "FolderUnusable", folder: dataFolder, detail: String(cause) }),
    }),
    (file) => Effect.sync(() => file.close()),
  );

interface Options {
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly grace: number;
  readonly log: (line: string) => void;
}

/**
 * Ends what a supervisor that died left behind on this folder: services first, NATS last. Processes are told by pid and
 * beginning, so that a stranger with a used-again pid is left alone. Whoever calls it holds the lock.
 */
const stopLeftovers = (dataFolder: string, { grace, log }: Options): Effect.Effect<void, StackError> =>
  Effect.gen(function* () {
    const file = yield* readPidFile(dataFolder);
    const left = file?.processes.filter((process) => isAlive(process)) ?? [];
    if (left.length > 0) {
      const names = left.map(({ service, pid }) => `${service} (process ${pid})`).join(", ");
      log(`stopping what process ${file?.supervisor.pid} left behind: ${names}`);
    }
    const stop = (isNats: boolean) =>
      Effect.forEach(
        left.filter((process) => (process.service === NATS) === isNats),
        (process) => stopProcess(process, grace),
        { concurrency: "unbounded", discard: true },
      );
    yield* stop(false);
    yield* stop(true);
    removePidFile(dataFolder);
  });

/** Makes the folder this process's own until the scope closes, with nothing left running on it from before. */
export const takeOver = (
  dataFolder: string,
  options: Options,
): Effect.Effect<void, StackError, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* openLock(dataFolder);
    yield* Effect.gen(function* () {
      if (yield* Effect.promise(() => file.tryLock(true))) return true;
      const other = yield* readPidFile(dataFolder);
      if (other && isAlive(other.supervisor)) {
        const { supervisor: { pid }, url } = other;
        return yield* StackError.of({ _tag: "AlreadyRunning", folder: dataFolder, pid, url });
      }
      return false; // it has just begun, or it cleans up after one that died
    }).pipe(
      Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (held) => held }),
      Effect.timeoutOrElse({
        duration: options.grace + 10_000,
        orElse: () =>
          Effect.fail(StackError.of({
            _tag: "FolderUnusable",
            folder: join(dataFolder, "up.lock"),
            detail: "another process keeps it locked",
          })),
      }),
    );
    yield* stopLeftovers(dataFolder, options);
  });

/** Ends leftovers unless somebody is at work on the folder. True when nobody was. */
export const sweep = (dataFolder: string, options: Options): Effect.Effect<boolean, StackError> =>
  Effect.scoped(Effect.gen(function* () {
    const file = yield* openLock(dataFolder);
    if (!(yield* Effect.promise(() => file.tryLock(true)))) return false;
    yield* stopLeftovers(dataFolder, options);
    return true;
  }));

/**
 * A small shell process that outlives a crash of this one: as soon as its standard input closes without a word, it runs the
 * sweep (sweep.ts) on the folder. This way not even SIGKILL leaves NATS or a hung service behind.
 */
export const guard = (dataFolder: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Deno.Command("sh", {
        args: [
          ...["-c", `trap "" HUP INT TERM; read -r word && exit; exec "$@"`, "subtaxa-guard"],
          ...[Deno.execPath(), ...runArguments(join(root, "scripts", "stack", "sweep.ts"), dataFolder)],
        ],
        detached: true,
        stdin: "piped",
        stdout: "null",
        stderr: "null",
      }).spawn()
    ),
    (child) =>
      Effect.promise(async () => {
        const writer = child.stdin.getWriter();
        await writer.write(new TextEncoder().encode("done\n"));
        await writer.close();
        await child.status;
      }).pipe(Effect.ignoreCause), // somebody ended the guard: nothing to dismiss
  ).pipe(Effect.asVoid);
