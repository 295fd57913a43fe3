/** A Python with pinned packages, made once per set of pins below `SUBTAXA_HOME`. */
import type { Failure } from "@subtaxa/contracts";
import { subtaxaHome } from "@subtaxa/tensorflow";
import { Data, Effect } from "effect";
import { createHash } from "node:crypto";
import { join } from "node:path";

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

/** Whether this machine's Python can install packages at all. */
export const hasPip = async (): Promise<boolean> => {
  const answer = new Deno.Command("python3", {
    args: ["-m", "pip", "--version"],
    stdout: "null",
    stderr: "null",
  })
    .output();
  return await answer.then(({ success }) => success, () => false);
};

/** Path of a Python that has the packages of a requirements file; `name` is the beginning of its folder's. */
export const pythonWith = (requirements: string, name: string): Effect.Effect<string, PythonError> =>
  Effect.tryPromise({
    try: async () => {
      const digest = createHash("sha256").update(await Deno.readFile(requirements)).digest("hex").slice(
        0,
        12,
      );
      const folder = join(subtaxaHome(), `${name}-${digest}`);
      const python = join(folder, "bin", "python");
      const marker = join(folder, "complete");
      if (await Deno.stat(marker).then(() => true, () => false)) return python;
      console.error(`installing ${requirements} into ${folder}`);
      await execute("python3", "-m", "venv", "--clear", folder);
      await execute(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        requirements,
      );
      await Deno.writeTextFile(marker, "");
      return python;
    },
    catch: (cause) =>
      new PythonError({
        message: `the packages of ${requirements} can't be installed: ${
          cause instanceof Error ? cause.message : cause
        }`,
      }),
  });
