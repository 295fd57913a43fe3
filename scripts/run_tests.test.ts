import { expect } from "expect";
import { join } from "node:path";
import { countsIn, verdict } from "./run_tests.ts";

Deno.test("the counts are those of Deno's last summary", () => {
  const earlier = "ok | 1 passed | 0 failed (3ms)\n";
  expect(countsIn(`${earlier}x\nok | 4 passed (1 step) | 0 failed | 2 ignored (479ms)\n`))
    .toEqual({ passed: 4, failed: 0, ignored: 2 });
  expect(countsIn("FAILED | 12 passed (2 steps) | 3 failed (1 step) (1m2s)\n\nerror: Test failed"))
    .toEqual({ passed: 12, failed: 3, ignored: 0 });
  expect(countsIn("error: Type checking failed.")).toBeUndefined();
});

Deno.test("a run that ended badly never counts as zero failures", () => {
  expect(verdict("ok | 4 passed | 0 failed | 1 ignored (1s)", 0))
    .toEqual({ line: "4 passed, 0 failed, 1 skipped", code: 0 });
  expect(verdict("ok | 4 passed | 0 failed (1s)", 1)).toEqual({ line: "4 passed, 1 failed", code: 1 });
  expect(verdict("FAILED | 4 passed | 2 failed (1s)", 1)).toEqual({ line: "4 passed, 2 failed", code: 1 });
  expect(verdict("error: Type checking failed.", 1)).toEqual({ line: "0 passed, 1 failed", code: 1 });
  expect(verdict("", 0)).toEqual({ line: "0 passed, 1 failed", code: 1 });
});

/** The real thing, over one test module. */
const run = async (text: string, env: Record<string, string>, ...args: string[]) => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-test-" });
  await Deno.writeTextFile(join(folder, "a.test.ts"), text);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(import.meta.dirname!, "run_tests.ts"), ...args],
    cwd: folder,
    env,
    stderr: "null",
  }).output();
  await Deno.remove(folder, { recursive: true });
  return { code, last: new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1) };
};

Deno.test("tests run apart from what the user has running", async () => {
  const joined = `for (const name of ["NATS_URL", "SUBTAXA_TOKEN"]) if (Deno.env.get(name)) throw name;\n`;
  expect(
    await run(
      `${joined}Deno.test("p", () => {});`,
      { NATS_URL: "nats://theirs", SUBTAXA_TOKEN: "t" },
      "--no-check",
    ),
  )
    .toEqual({ code: 0, last: "1 passed, 0 failed" });
});

Deno.test("passing, failing, ill-typed, unloadable and aborted tests are told apart", async () => {
  const pass = `Deno.test("p", () => {});\n`;
  const quick = "--no-check";
  expect(await run(`${pass}Deno.test.ignore("i", () => {});`, {}, quick))
    .toEqual({ code: 0, last: "1 passed, 0 failed, 1 skipped" });
  expect(await run(`${pass}Deno.test("f", () => { throw 1; });`, {}, quick))
    .toEqual({ code: 1, last: "1 passed, 1 failed" });
  expect(await run(`${pass}const x: string = 1;`, {})).toEqual({ code: 1, last: "0 passed, 1 failed" });
  expect(await run(`${pass}import "./nowhere.ts";`, {}, quick)).toEqual({
    code: 1,
    last: "0 passed, 1 failed",
  });
  expect(await run(`${pass}throw new Error("at load");`, {}, quick))
    .toEqual({ code: 1, last: "0 passed, 1 failed" });
  expect(await run(`${pass}Deno.test("e", () => Deno.exit(0));`, {}, quick)).toMatchObject({ code: 1 });
});
