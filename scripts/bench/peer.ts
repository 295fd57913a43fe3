import type { Failure } from "@subtaxa/contracts";
import { Data, Effect, type Scope } from "effect";
import { join } from "node:path";
import { pythonWith } from "../python/mod.ts";

/** A peer can't be installed, started or asked. */
export class BenchError extends Data.TaggedError("BenchError")<{ readonly message: string }>
  implements Failure {
  readonly reason = { _tag: "PeerFailed" };
  readonly retryable = false;
}

const here = import.meta.dirname!;

const attempt = <A>(what: string, work: () => Promise<A>): Effect.Effect<A, BenchError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new BenchError({ message: `${what}: ${cause instanceof Error ? cause.message : cause}` }),
  });

/** A Python with the pinned peers, made once; its path. */
export const peerPython: Effect.Effect<string, BenchError> = pythonWith(
  join(here, "requirements.txt"),
  "bench",
).pipe(
  Effect.mapError(({ message }) => new BenchError({ message })),
);

const execute = async (command: string, args: string[]): Promise<void> => {
  const { success } = await new Deno.Command(command, { args, stdin: "null", stdout: "inherit" }).spawn()
    .status;
  if (!success) throw new Error(`${command} ${args.slice(0, 3).join(" ")} … failed`);
};

/** Runs one of this folder's Python scripts to its end. */
export const runScript = (script: string, args: readonly string[]): Effect.Effect<void, BenchError> =>
  Effect.flatMap(
    peerPython,
    (python) => attempt(script, () => execute(python, [join(here, script), ...args])),
  );

/** A process that does one round of its work for every line on its standard input, and answers with seconds. */
export interface Rounds {
  /** One round; its seconds. */
  readonly round: Effect.Effect<number, BenchError>;
  /** The most memory that the process has had so far, MiB. */
  readonly peakMemory: Effect.Effect<number, BenchError>;
}

const startRounds = (
  command: string,
  script: string,
  args: readonly string[],
): Effect.Effect<Rounds, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const process = yield* Effect.acquireRelease(
      attempt(script, () =>
        Promise.resolve(
          new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped" }).spawn(),
        )),
      (process) =>
        Effect.promise(async () => {
          await writer.close();
          await process.status;
        }),
    );
    const writer = process.stdin.getWriter();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    const line = async (): Promise<string> => {
      for (let end = rest.indexOf("\n");; end = rest.indexOf("\n")) {
        if (end >= 0) {
          const found = rest.slice(0, end);
          rest = rest.slice(end + 1);
          return found;
        }
        const { value, done } = await reader.read();
        if (done) throw new Error("the process ended");
        rest += value;
      }
    };
    yield* attempt(script, line);
    return {
      round: attempt(script, async () => {
        await writer.write(new TextEncoder().encode("\n"));
        return Number(await line());
      }),
      peakMemory: attempt(script, async () => {
        const status = await Deno.readTextFile(`/proc/${process.pid}/status`);
        return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
      }),
    };
  });

/** One of this folder's Python scripts that serve rounds. */
export const peerRounds = (
  script: string,
  args: readonly string[],
): Effect.Effect<Rounds, BenchError, Scope.Scope> =>
  Effect.flatMap(peerPython, (python) => startRounds(python, script, [join(here, script), ...args]));

/** One of this folder's TypeScript modules that serve rounds. */
export const ownRounds = (
  script: string,
  args: readonly string[],
): Effect.Effect<Rounds, BenchError, Scope.Scope> =>
  startRounds(Deno.execPath(), script, ["run", "--quiet", "--allow-all", join(here, script), ...args]);

/** One of this folder's peers as a process: each call is one round, and gives the seconds that it took. */
export const startPeer = (
  script: string,
  args: readonly string[],
): Effect.Effect<Effect.Effect<number, BenchError>, BenchError, Scope.Scope> =>
  Effect.map(peerRounds(script, args), ({ round }) => round);
