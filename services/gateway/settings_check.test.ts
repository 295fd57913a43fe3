import type { Views } from "@subtaxa/contracts";
import { Effect } from "effect";
import { expect } from "expect";
import { settleViews } from "./settings_check.ts";

Deno.test("views that have no room are a problem that says how many have; an open number is the most that have", async () => {
  const settled = (views: Views | undefined, images: number, freeze: "backbone" | "none" = "backbone") =>
    Effect.runPromise(settleViews({ backbone: "efficientnet-b0", freeze, views }, images));
  expect(await settled(undefined, 78_643)).toBe(8);
  expect(await settled(undefined, 78_644)).toBe(4);
  expect(await settled(undefined, 1_000_000)).toBe(1);
  expect(await settled(4, 78_644)).toBe(4);
  expect(await settled(undefined, 78_644, "none")).toBe(1);
  expect(await settled(8, 1_000_000, "none")).toBe(8);
  const problem = await Effect.runPromise(
    Effect.flip(settleViews({ backbone: "efficientnet-b0", freeze: "backbone", views: 8 }, 100_000)),
  );
  expect(problem.reason).toEqual({ _tag: "invalid-request" });
  expect(problem.errors).toEqual([{
    field: "views",
    message: expect.stringMatching(/1\.9 GiB.*at most 4$/),
  }]);
});
