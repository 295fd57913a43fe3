import { expect } from "expect";
import { join } from "node:path";
import { beganAt, isAlive, remember } from "./identity.ts";
import { LogFile } from "./log_file.ts";
import { servicesOf } from "./services.ts";
import { makePauses, patience } from "./timing.ts";

Deno.test("a process is told by pid and beginning", async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const remembered = remember(child.pid);
  expect(isAlive(remembered)).toBe(true);
  expect(isAlive({ ...remembered, began: "another time" })).toBe(false);
  child.kill("SIGKILL");
  await child.status;
  expect(isAlive(remembered)).toBe(false);
  expect(beganAt(child.pid)).toBeUndefined();
  expect(beganAt(0)).toBeUndefined();
});

Deno.test("a log is rotated when it has grown, also by an earlier process", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-log-" });
  const path = join(folder, "x.log");
  await Deno.writeTextFile(path, "from before\n");
  const log = new LogFile(path, 20);
  log.write("one");
  log.write("two, longer");
  log.write("three");
  log.close();
  expect(await Deno.readTextFile(`${path}.1`)).toBe("from before\none\n");
  expect(await Deno.readTextFile(path)).toBe("two, longer\nthree\n");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("pauses double up to a limit and start anew after a stable time", () => {
  const pauseAfter = makePauses({ ...patience, firstPause: 100, longestPause: 350, stable: 1_000 });
  expect([0, 5, 5, 5, 1_000, 0].map(pauseAfter)).toEqual([100, 200, 350, 350, 100, 200]);
});

Deno.test("there can be more than one trainer", () => {
  const names = servicesOf({ trainers: 2 }).map(({ name }) => name);
  expect(names).toEqual(["gateway", "trainer", "trainer-2", "evaluator", "extractor", "clusterer"]);
});
