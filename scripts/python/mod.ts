/** A Python with pinned packages, made once per set of pins below `SUBTAXA_HOME`. */
import type { Failure } from "@subtaxa/contracts";
import { subtaxaHome } from "@subtaxa/tensorflow";
import { Data, Effect, Result } from "effect";
import { existsSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { findPython, withLock } from "../setup/mod.ts";

/** Python or its packages can't be had. */
export class PythonError extends Data.TaggedError("PythonError")<{ readonly message: string }>
  implements Failure {
  readonly reason = { _tag: "NotInstalled" };
  readonly retryable = true;
}

const execute = async (command: string, ...args: string[]): Promise<void> => {
  const { success } = await new Deno.Command(command, { args, stdin: "null", stdout: "inherit" }).spawn()
    .status;
  if (!success) throw new Error(`${command} ${args.slice(0, 3).join(" ")} … failed`);
};

const attempt = <A>(work: () => Promise<A>): Effect.Effect<A, Error> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => cause instanceof Error ? cause : new Error(String(cause)),
  });

/** Whether this machine's Python can install packages at all. */
export const hasPip = async (): Promise<boolean> =>
  Result.isSuccess(await Effect.runPromise(Effect.result(findPython)));

/**
 * Path of a Python that has the packages of a requirements file; `name` is the beginning of its folder's. One process
 * at a time makes it, and the others wait: what a killed one left half made is made anew.
 */
export const pythonWith = (
  requirements: string,
  name: string,
  home: string = subtaxaHome(),
): Effect.Effect<string, PythonError> =>
  Effect.gen(function* () {
    const pins = yield* attempt(() => Deno.readFile(requirements));
    const folder = join(home, `${name}-${createHash("sha256").update(pins).digest("hex").slice(0, 12)}`);
    const environment = join(folder, "venv");
    const python = join(environment, "bin", "python");
    const marker = join(environment, "complete");
    if (existsSync(marker)) return python;
    const make = Effect.gen(function* () {
      if (existsSync(marker)) return;
      const { command } = yield* findPython;
      console.error(`installing ${requirements} into ${folder}`);
      yield* attempt(async () => {
        await execute(command, "-m", "venv", "--clear", environment);
        const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        await execute(python, ...install, "-r", requirements);
        await Deno.writeTextFile(marker, "");
      });
    });
    const onWait = (holder: string) =>
      console.error(`waiting for process ${holder}, which installs ${requirements}`);
    yield* withLock(folder, onWait, make);
    return python;
  }).pipe(Effect.mapError(({ message }) =>
    new PythonError({ message: `the packages of ${requirements} can't be installed: ${message}` })
  ));
