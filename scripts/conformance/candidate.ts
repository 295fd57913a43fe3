import { Duration, Effect, Schedule, Scope } from "effect";
import type { Bench } from "./bench.ts";
import { announcementsOf } from "./check.ts";
import { broken, type ConformanceError, setup } from "./error.ts";
import { startCommand, type Started } from "./process.ts";

/** What the examination does with the candidate's processes, and with the server. */
export interface Candidate {
  /** Starts one more instance with these variables too, and waits until it announces itself. */
  readonly start: (env?: Readonly<Record<string, string>>) => Effect.Effect<Started, ConformanceError>;
  /** The instance that was started last. */
  readonly current: () => Started;
  /** Ends the server as a crash would, and starts it again; null where it was there before. */
  readonly restartServer: Effect.Effect<void, ConformanceError> | null;
}

/**
 * Waits until one more instance announces itself than have before. One of another name ends the examination; one that
 * doesn't announce itself gets its verdict for that, and is examined all the same.
 */
export const makeAwaiting = (bench: Bench, strangers: readonly string[]) => {
  const known = new Set<string>();
  let announces = true;
  const here = (isRunning: () => boolean) =>
    Effect.gen(function* () {
      if (!isRunning()) return yield* setup("the candidate has ended");
      const { mine, others } = yield* announcementsOf(bench);
      const fresh = mine.find(({ instance }) => !known.has(instance));
      const stranger = others.find((name) => !strangers.includes(name));
      if (mine.length === 0 && stranger !== undefined) {
        return yield* setup(`'${stranger}' answers, not '${bench.name}'`);
      }
      if (!fresh) return yield* broken("it doesn't announce itself");
      known.add(fresh.instance);
    });
  return (isRunning: () => boolean): Effect.Effect<void, ConformanceError> =>
    here(isRunning).pipe(
      Effect.retry({
        schedule: Schedule.spaced("200 millis").pipe(
          Schedule.upTo({
            // the later ones start as quickly as the first, unless they don't tell themselves apart
            duration: Duration.seconds(!announces ? 5 : known.size === 0 ? bench.patience : 20),
          }),
        ),
        while: ({ reason }) => reason._tag === "Broken",
      }),
      Effect.catchIf(({ reason }) => reason._tag === "Broken", () =>
        Effect.sync(() => void (announces = false))),
    );
};

/** Starts instances of the candidate by its command line. */
export const makeCandidate = (
  { command, env, log, awaiting, restartServer }: {
    readonly command: string;
    readonly env: Readonly<Record<string, string>>;
    readonly log: string;
    readonly awaiting: ReturnType<typeof makeAwaiting>;
    readonly restartServer: Candidate["restartServer"];
  },
): Effect.Effect<Candidate, never, Scope.Scope> =>
  Effect.map(Scope.Scope, (scope) => {
    let latest: Started | null = null;
    const start: Candidate["start"] = (more = {}) =>
      Effect.gen(function* () {
        const started = yield* Scope.provide(startCommand(command, { ...env, ...more }, log), scope);
        latest = started;
        yield* awaiting(started.isRunning);
        return started;
      });
    return { start, current: () => latest!, restartServer };
  });
