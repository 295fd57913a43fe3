import { Effect, type Scope } from "effect";
import { ConformanceError, setup } from "./error.ts";

/** A running candidate. */
export interface Started {
  readonly pid: number;
  readonly isRunning: () => boolean;
  readonly signal: (signal: "SIGTERM" | "SIGKILL") => void;
  readonly ended: Effect.Effect<{ readonly code: number; readonly signal: string | null }>;
}

/** Starts a command line; its process is killed, by its id, when the scope closes. Its output goes to the file. */
export const startCommand = (
  command: string,
  env: Readonly<Record<string, string>>,
  log: string,
): Effect.Effect<Started, ConformanceError, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.try({
        // exec: the process is the command itself, not a shell around it
        try: () =>
          new Deno.Command("sh", {
            args: ["-c", `exec ${command} >>"$SUBTAXA_CONFORMANCE_LOG" 2>&1`],
            env: { ...env, SUBTAXA_CONFORMANCE_LOG: log },
            stdin: "null",
          }).spawn(),
        catch: (cause) => setup(`the candidate can't be started: ${cause}`),
      }),
      (child) =>
        Effect.promise(async () => {
          try {
            child.kill("SIGKILL");
          } catch {
            return; // it has ended already
          }
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
      signal: (signal) => {
        if (running) child.kill(signal);
      },
      ended: Effect.promise(() => status),
    };
  });
