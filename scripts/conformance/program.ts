import { ClustererName, type Failure } from "@subtaxa/contracts";
import { Command, InvalidArgumentError } from "commander";
import { Effect, Result } from "effect";
import { join } from "node:path";
import { z } from "zod";
import { execute, exitCode } from "../cli/mod.ts";
import { pythonWith } from "../python/mod.ts";
import { ensureNative } from "../setup/mod.ts";
import { root, runArguments } from "../stack/mod.ts";
import { examine, type Verdict } from "./examine.ts";

const quoted = (words: readonly string[]) =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
const denoService = (folder: string) =>
  Effect.succeed(quoted([Deno.execPath(), ...runArguments(join(root, "services", folder, "main.ts"))]));

/** How the clusterers of this repository are started. */
const known: Readonly<Record<string, Effect.Effect<string, Failure>>> = {
  xmeans: denoService("clusterer"),
  kmeans: denoService("clusterer-kmeans"),
  gmm: Effect.map(
    pythonWith(join(root, "services/clusterer-python/requirements.txt"), "clusterer-python"),
    (python) => quoted([python, join(root, "services/clusterer-python/clusterer.py")]),
  ),
};

/** The command line that starts a clusterer of this repository, once it has what it needs; undefined for another's. */
export const startOf = (name: string): Effect.Effect<string, Failure> | undefined => known[name];

const clustererName = (text: string): string => {
  const parsed = ClustererName.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "It is no name.");
  return parsed.data;
};

const seconds = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It is no number above 0.");
  return value;
};

const Options = z.object({ url: z.string().optional(), start: z.string().optional(), patience: z.number() });

const line = ({ check, passed, remark, follows }: Verdict) => {
  const told = follows === null ? remark : `as in '${follows.split(":")[0]}'`;
  return `${passed ? "pass" : "FAIL"}  ${check}${told ? `\n        ${told}` : ""}`;
};

/** Examines the clusterer that the arguments name; the exit code: 0 when it keeps to the contract. */
export const main = async (args: readonly string[]): Promise<number> => {
  let job: Effect.Effect<number, Failure> = Effect.succeed(exitCode.usage);
  const program = new Command("conformance").description("Holds a running implementation to the contract.")
    .exitOverride();
  program.command("clusterer").argument("<name>", "its name: the route of its messages", clustererName)
    .option(
      "--url <address>",
      "a NATS server with JetStream where nothing else is at work (default: one is started)",
    )
    .option(
      "--start <command>",
      "starts the candidate, with NATS_URL in its environment (default: those of this repository; with --url: none)",
    )
    .option("--patience <seconds>", "how long every answer may take", seconds, 60)
    .action((name: string, _options, command: Command) => {
      const { url, start, patience } = Options.parse(command.opts());
      job = Effect.gen(function* () {
        if (url === undefined) yield* ensureNative(); // of this machine's: the server, and what clusterers here load
        const own = url === undefined ? startOf(name) : undefined;
        const candidate = start ?? (own ? yield* own : null);
        const verdicts = yield* examine({
          name,
          url: url ?? null,
          start: candidate,
          patience,
          onVerdict: (verdict) => console.log(line(verdict)),
          onNote: (note) => console.error(note),
        });
        const failed = verdicts.filter(({ passed }) => !passed).length;
        const following = verdicts.filter(({ follows }) => follows !== null).length;
        console.log(
          failed === 0
            ? `${name} keeps to the contract: ${verdicts.length} checks passed`
            : `${name} breaks the contract: ${failed} of ${verdicts.length} checks failed${
              following > 0 ? `, ${following} of them for the same reason as an earlier one` : ""
            }`,
        );
        return failed === 0 ? 0 : 1;
      });
    });
  const parsed = await Effect.runPromise(
    Effect.result(Effect.try(() => program.parse([...args], { from: "user" }))),
  );
  if (Result.isFailure(parsed)) return exitCode.usage;
  return await execute({ effect: job, interrupted: exitCode.interrupted });
};
