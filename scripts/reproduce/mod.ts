/** Repeats the paper's experiment (section 5) on any data set: `deno task reproduce`. */
import { CommanderError } from "commander";
import { execute, exitCode } from "../cli/mod.ts";
import { reachLoopbackDirectly } from "../stack/mod.ts";
import type { Plan } from "./plan.ts";
import { makeProgram } from "./program.ts";
import { reproduce } from "./reproduce.ts";

/** Parses the command line, does what it asks for, and returns the exit code. */
export const main = async (args: readonly string[]): Promise<number> => {
  reachLoopbackDirectly();
  let plan: Plan | undefined;
  try {
    makeProgram((chosen) => plan = chosen).parse([...args], { from: "user" });
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    return cause.exitCode === 0 ? exitCode.ok : exitCode.usage; // help, or a message on standard error
  }
  if (plan === undefined) return exitCode.usage;
  return await execute({ effect: reproduce(plan), interrupted: exitCode.interrupted });
};
