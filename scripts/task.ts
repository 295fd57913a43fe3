import { Command } from "commander";

/** How a task of deno.json is run, with the Deno that runs now. */
export const taskCommand = (name: string): string => `npx deno@${Deno.version.deno} task ${name}`;

/** The command line of a task of deno.json: `--help` says what it does and takes; wrong usage ends with code 2. */
export const task = (name: string, description: string): Command =>
  new Command(taskCommand(name)).description(description)
    .showHelpAfterError("(--help shows what it takes)")
    .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2));
