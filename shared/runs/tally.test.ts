import { divide, type RunProgress, type ShardEvent } from "@subtaxa/contracts";
import { expect } from "expect";
import { addUp, progressIn, type Tally } from "./mod.ts";

const said = (shard: number, done: number, more: Partial<RunProgress> = {}): RunProgress => ({
  ...{ runId: "r", fold: 0, epoch: 1, step: "extract", done, total: 100 },
  part: { shard, instance: `i${shard % 2}`, images: 10 },
  ...more,
});

/** The sums after each message. */
const sums = (messages: readonly RunProgress[]) => {
  let tally: Tally | undefined;
  return messages.map((message) => {
    const next = addUp(tally, message);
    tally = next.tally;
    return next.progress;
  });
};

Deno.test("the shards of a step add up, and never go back", () => {
  const told = sums([said(0, 3), said(1, 4), said(0, 5), said(0, 2), said(2, 1)]);
  expect(told.map(({ done }) => done)).toEqual([3, 7, 9, 9, 10]);
  expect(told.every((one) => one.total === 100 && !("part" in one))).toBe(true);
});

Deno.test("instances' speeds add up to the time left", () => {
  const [, both] = sums([said(0, 10, { imagesPerSecond: 30 }), said(1, 10, { imagesPerSecond: 50 })]);
  expect(both).toMatchObject({ imagesPerSecond: 80, secondsLeft: 80 * 10 / 80 });
});

Deno.test("another step or epoch begins anew; a step in one piece is as it says", () => {
  const whole: RunProgress = { runId: "r", fold: 0, epoch: 2, step: "train", done: 3, total: 9 };
  const told = sums([said(0, 3), said(1, 4, { epoch: 2 }), said(1, 6, { step: "validate" }), whole]);
  expect(told.map(({ done }) => done)).toEqual([3, 4, 6, 3]);
  expect(told.at(-1)).toEqual(whole);
});

Deno.test("a shard's fact says what is done", () => {
  const division = divide(20_000, 10);
  const shard: ShardEvent = {
    ...{ v: 1, type: "shard.advanced", at: "2026-01-01T00:00:00.000Z", runId: "r", fold: 0, epoch: 1 },
    ...{ of: "adaptation.planned", shard: 3, division, portions: [] },
  };
  expect(progressIn(shard)).toMatchObject({ step: "extract", done: 0, total: 2_000 });
  const portions = [{ key: "k", sha256: "0".repeat(64), bytes: 1 }];
  expect(progressIn({ ...shard, portions, by: "x" })).toMatchObject({
    done: 32,
    part: { shard: 3, instance: "x", images: 10 },
  });
});
