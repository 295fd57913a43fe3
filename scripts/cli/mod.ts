import { CommanderError } from "commander";
import { Cause, Effect, Exit, Option } from "effect";
import type { Failure } from "@subtaxa/contracts";
import { reachLoopbackDirectly } from "../stack/mod.ts";
import { exitCode } from "./error.ts";
import { type Job, makeProgram } from "./program.ts";

export { ask, request, type Target } from "./api.ts";
export { importFolder } from "./datasets.ts";
export { failedError } from "./error.ts";
export { saveReport, startRun } from "./runs.ts";
export { watchRun } from "./watch.ts";
export { table } from "./words.ts";

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

/** Runs the job; SIGINT, SIGTERM and SIGHUP interrupt it, a second one ends this process at once. */
export const execute = async (
  { effect, interrupted }: { readonly effect: Effect.Effect<number, Failure>; readonly interrupted: number },
): Promise<number> => {
  const fiber = Effect.runFork(effect);
  let signals = 0;
  const stop = () => {
    if (signals++ > 0) Deno.exit(exitCode.interrupted);
    fiber.interruptUnsafe();
  };
  const names: Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const name of names) Deno.addSignalListener(name, stop);
  const exit = await new Promise<Exit.Exit<number, Failure>>((resolve) => fiber.addObserver(resolve));
  for (const name of names) Deno.removeSignalListener(name, stop);
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
