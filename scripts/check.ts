import { resolve } from "node:path";
import { task } from "./task.ts";

task("check", "Format, lint, types and the rules of the architecture: all of them, also when one fails.")
  .parse(Deno.args, { from: "user" });

const root = resolve(import.meta.dirname ?? ".", "..");

const steps: readonly (readonly [name: string, ...args: string[]])[] = [
  ["format", "fmt", "--check"],
  ["lint", "lint"],
  ["types", "check", "."],
  ["architecture", "test", "-A", "--no-check", "tests/architecture.test.ts"],
];

const failed: string[] = [];
for (const [name, ...args] of steps) {
  console.log(`\n── ${name}: deno ${args.join(" ")}`);
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).spawn().status;
  if (!success) failed.push(name);
}
console.log(failed.length > 0 ? `\ncheck failed: ${failed.join(", ")}` : "\ncheck passed");
Deno.exit(failed.length > 0 ? 1 : 0);
