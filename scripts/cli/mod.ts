import { CommanderError } from "commander";
import { Cause, Effect, Exit, Option } from "effect";
import type { Failure } from "@subtaxa/contracts";
import { reachLoopbackDirectly } from "../stack/mod.ts";
import { exitCode } from "./error.ts";
import { type Job, makeProgram } from "./program.ts";

export { address, userPath, wholeNumber } from "./arguments.ts";
export { ask, request, serverEvents, type Target, untilOver } from "./api.ts";
export {
  datasetView,
  describeDataset,
  importFolder,
  knownDataset,
  listDatasets,
  nameFrom,
} from "./datasets.ts";
export { CliError, exitCode, failedError } from "./error.ts";
export { type Family, figuresOf, parseFigures } from "./figures.ts";
export { flagsOf, requestOf } from "./flags.ts";
export { dataFolder } from "./machine.ts";
export { saveReport, startRun } from "./runs.ts";
export { makeScreen, type Screen } from "./screen.ts";
export { runView, watchRun } from "./watch.ts";
export { count, duration, percent, table } from "./words.ts";

const parse = (args: readonly string[]): Job | number => {
  let chosen: Job | undefined;
  const program = makeProgram((job) => chosen = job);
  try {
    program.parse([...args], { from: "user" });
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    return cause.exitCode === 0 ? exitCode.ok : exitCode.usage; // help, or a message on standard error
  }
  return chosen ?? exitCode.usage;
};

/** One Ctrl-C may arrive more than once: from the terminal, and passed on by `deno task`. */
const echoMillis = 1_000;

/** Runs the job; SIGINT, SIGTERM and SIGHUP interrupt it, a second Ctrl-C ends this process at once. */
export const execute = async (
  { effect, interrupted }: { readonly effect: Effect.Effect<number, Failure>; readonly interrupted: number },
): Promise<number> => {
  const fiber = Effect.runFork(effect);
  let first = 0;
  const stop = () => {
    first ||= Date.now();
    fiber.interruptUnsafe();
  };
  const stopAgain = () => {
    if (first > 0 && Date.now() - first > echoMillis) Deno.exit(exitCode.interrupted);
    stop();
  };
  const listeners = [["SIGINT", stopAgain], ["SIGTERM", stop], ["SIGHUP", stop]] as const;
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  const exit = await new Promise<Exit.Exit<number, Failure>>((resolve) => fiber.addObserver(resolve));
  for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
  if (Exit.isSuccess(exit)) return exit.value;
  if (Cause.hasInterruptsOnly(exit.cause)) return interrupted;
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause));
  console.error(error ? `error: ${error.message}` : Cause.pretty(exit.cause));
  return error?.reason._tag === "Usage" ? exitCode.usage : exitCode.failed;
};

/** The command line of Subtaxa: parses, does, and returns the exit code. */
export const main = async (args: readonly string[]): Promise<number> => {
  reachLoopbackDirectly();
  const job = parse(args);
  return typeof job === "number" ? job : await execute(job);
};
