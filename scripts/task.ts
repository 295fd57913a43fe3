import { Command } from "commander";

/** The command line of a task of deno.json: `--help` says what it does and takes; wrong usage ends with code 2. */
export const task = (name: string, description: string): Command =>
  new Command(`npx deno@${Deno.version.deno} task ${name}`).description(description)
    .showHelpAfterError("(--help shows what it takes)")
    .exitOverride(({ exitCode }) => Deno.exit(exitCode === 0 ? 0 : 2));
