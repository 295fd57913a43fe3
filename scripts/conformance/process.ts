import { Effect, type Scope } from "effect";
import { ConformanceError, setup } from "./error.ts";

/** A running candidate. */
export interface Started {
  readonly pid: number;
  readonly isRunning: () => boolean;
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => void;
  readonly ended: Effect.Effect<{ readonly code: number; readonly signal: string | null }>;
}

const signalGroup = (pid: number, signal: "SIGTERM" | "SIGKILL") => {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // all of it has ended already
  }
};

/**
 * Starts a command line in a process group of its own, all of which is killed when the scope closes: the command may be a
 * script that starts the clusterer itself. Its output goes to the file.
 */
export const startCommand = (
  command: string,
  env: Readonly<Record<string, string>>,
  log: string,
): Effect.Effect<Started, ConformanceError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.try({
        // exec: the group's first process is the command itself, not a shell around it
        try: () =>
          new Deno.Command("sh", {
            args: ["-c", `exec ${command} >>"$SUBTAXA_CONFORMANCE_LOG" 2>&1`],
            env: { ...env, SUBTAXA_CONFORMANCE_LOG: log },
            stdin: "null",
            detached: true,
          }).spawn(),
        catch: (cause) => setup(`the candidate can't be started: ${cause}`),
      }),
      (child) =>
        Effect.promise(async () => {
          signalGroup(child.pid, "SIGKILL");
          await child.status;
        }),
    );
    let running = true;
    const status = child.status.then((status) => {
      running = false;
      return status;
    });
    return {
      pid: child.pid,
      isRunning: () => running,
      signal: (signal) => signalGroup(child.pid, signal),
      ended: Effect.promise(() => status),
    };
  });
