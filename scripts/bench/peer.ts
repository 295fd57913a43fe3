import type { Failure } from "@subtaxa/contracts";
import { subtaxaHome } from "@subtaxa/tensorflow";
import { Data, Effect, type Scope } from "effect";
import { createHash } from "node:crypto";
import { join } from "node:path";

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

/** A Python with the pinned peers, made once per set of pins below `SUBTAXA_HOME`; its path. */
export const peerPython: Effect.Effect<string, BenchError> = Effect.gen(function* () {
  const requirements = join(here, "requirements.txt");
  const pins = yield* attempt(requirements, () => Deno.readFile(requirements));
  const digest = createHash("sha256").update(pins).digest("hex").slice(0, 12);
  const folder = join(subtaxaHome(), `bench-${digest}`);
  const python = join(folder, "bin", "python");
  const marker = join(folder, "complete");
  if (yield* Effect.promise(() => Deno.stat(marker).then(() => true, () => false))) return python;
  console.log(`installing the peers into ${folder}`);
  yield* attempt("the peers can't be installed", async () => {
    await execute("python3", ["-m", "venv", "--clear", folder]);
    await execute(python, [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "-r",
      requirements,
    ]);
    await Deno.writeTextFile(marker, "");
  });
  return python;
});

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
