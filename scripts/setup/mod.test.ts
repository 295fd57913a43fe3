import { Effect } from "effect";
import { expect } from "expect";
import { existsSync } from "node:fs";
import { ensureNative, type Progress } from "./mod.ts";

Deno.test("once everything is there, set-up answers within milliseconds and reports nothing", async () => {
  await Effect.runPromise(ensureNative());
  const reports: Progress[] = [];
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    const { tensorflow, natsServer } = await Effect.runPromise(
      ensureNative({ report: (one) => reports.push(one) }),
    );
    times.push(performance.now() - started);
    for (const path of [tensorflow.addon, ...tensorflow.libraries, natsServer]) {
      expect(existsSync(path)).toBe(true);
    }
  }
  expect(Math.min(...times)).toBeLessThan(10);
  expect(reports).toEqual([]);
});
