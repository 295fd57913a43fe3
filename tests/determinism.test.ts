import { expect } from "expect";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Prefix of a command that gives it one processor core, where there is such a thing. */
const onOneCore = (): string[] => {
  if (!existsSync("/usr/bin/taskset")) return [];
  const [, core] = /Cpus_allowed_list:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))!;
  return ["/usr/bin/taskset", "--cpu-list", core!];
};

/** What a fresh process computes, as hashes. */
const run = async (prefix: readonly string[]): Promise<Record<string, unknown>> => {
  const program = join(import.meta.dirname!, "determinism_program.ts");
  const [command, ...args] = [...prefix, Deno.execPath(), "run", "--allow-all", "--no-check", program];
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args,
    env: { SUBTAXA_DETERMINISTIC: "1" },
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
};

Deno.test("deterministic mode: a fresh process, also with fewer cores, gets the same split, batches, sub-classes and weights", async () => {
  const first = await run([]);
  expect(await run(onOneCore())).toEqual(first);
  expect(first.subclasses).toBeGreaterThan(2);
});
