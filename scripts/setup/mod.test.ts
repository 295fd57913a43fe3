import { Effect } from "effect";
import { expect } from "expect";
import { existsSync } from "node:fs";
import { ensureNative, type Progress } from "./mod.ts";

Deno.test("once everything is there, set-up needs no other program and reports nothing", async () => {
  await Effect.runPromise(ensureNative());
  const reports: Progress[] = [];
  const path = Deno.env.get("PATH")!;
  Deno.env.set("PATH", "");
  try {
    const { tensorflow, natsServer } = await Effect.runPromise(
      ensureNative({ report: (one) => reports.push(one) }),
    );
    for (const part of [tensorflow.addon, ...tensorflow.libraries, natsServer]) {
      expect(existsSync(part)).toBe(true);
    }
  } finally {
    Deno.env.set("PATH", path);
  }
  expect(reports).toEqual([]);
});
