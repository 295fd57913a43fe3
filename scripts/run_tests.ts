// Every test of the project, or those below the given paths; the last line counts them: `N passed, N failed`.
import { Effect, Result } from "effect";
import { ensureNative } from "./setup/mod.ts";
import { task } from "./task.ts";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly ignored: number;
}

/** The counts in Deno's last summary, `ok | 4 passed (1 step) | 0 failed | 1 ignored (479ms)`. */
export const countsIn = (output: string): Counts | undefined => {
  const summary = [...output.matchAll(/^(?:ok|FAILED) \| (\d+) passed\b.* \| (\d+) failed\b(.*)$/gm)].at(-1);
  if (!summary) return undefined;
  const [, passed, failed, rest = ""] = summary;
  const ignored = /(\d+) ignored/.exec(rest)?.[1] ?? 0;
  return { passed: Number(passed), failed: Number(failed), ignored: Number(ignored) };
};

/**
 * The last line and the exit code. A run that ended badly has at least one failure, also when no test could say so: a
 * module with a wrong type, a crash, nothing to run.
 */
export const verdict = (output: string, exitCode: number): { line: string; code: number } => {
  const { passed, failed, ignored } = countsIn(output) ?? { passed: 0, failed: 0, ignored: 0 };
  const bad = exitCode !== 0 || failed > 0 || passed === 0;
  const failures = bad ? Math.max(1, failed) : 0;
  const skipped = ignored > 0 ? `, ${ignored} skipped` : "";
  return { line: `${passed} passed, ${failures} failed${skipped}`, code: bad ? 1 : 0 };
};

if (import.meta.main) {
  task("test", "Sets up what is missing, runs the tests, and counts them in the last line.")
    .argument("[paths...]", "files or folders (default: every test of the project)")
    .addHelpText("after", "\nOptions of `deno test`, such as --filter <text>, are handed on to it.")
    .allowUnknownOption().parse(Deno.args, { from: "user" });
  const native = await Effect.runPromise(Effect.result(ensureNative()));
  if (Result.isFailure(native)) {
    console.error(native.failure.message);
    console.log(verdict("", 1).line);
    Deno.exit(1);
  }
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...Deno.args],
    // so that no test joins what the user has running
    env: { NO_COLOR: "1", NATS_URL: "", SUBTAXA_TOKEN: "", SUBTAXA_HOST: "127.0.0.1" },
    stdout: "piped",
  }).spawn();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    await Deno.stdout.write(new TextEncoder().encode(text));
    output += text;
  }
  const { line, code } = verdict(output, (await child.status).code);
  console.log(line);
  Deno.exit(code);
}
