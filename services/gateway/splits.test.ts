import { datasetAtRest } from "@subtaxa/dataset/testing";
import { Effect, Exit } from "effect";
import { expect } from "expect";
import { checkSplits } from "./splits.ts";

const manifest = (counts: Record<string, number>) =>
  datasetAtRest({
    name: "d",
    classes: Object.keys(counts),
    images: Object.values(counts).flatMap((count, label) =>
      Array.from({ length: count }, (_, i) => ({ path: `${label}/${i}`, class: label, side: 1 }))
    ),
  }).manifest;
const check = (counts: Record<string, number>, folds: number) =>
  Effect.runSyncExit(checkSplits(manifest(counts), { seed: 3, folds }));
const refusal = (counts: Record<string, number>, folds: number) =>
  Effect.runSync(Effect.flip(checkSplits(manifest(counts), { seed: 3, folds }))).message;

Deno.test("splits with every class in every part pass, down to the smallest", () => {
  for (
    const [counts, folds] of [[{ a: 5, b: 90 }, 1], [{ a: 3, b: 3 }, 1], [{ a: 12, b: 10 }, 10]] as const
  ) {
    expect(Exit.isSuccess(check(counts, folds))).toBe(true);
  }
});

Deno.test("the smallest class that has no image in some part is named, with what to do", () => {
  expect(refusal({ a: 2, b: 9 }, 1)).toMatch(
    /class 'a' has 2 images, too few for the split.*minClassImages 3/,
  );
  expect(refusal({ a: 9, b: 6, c: 30 }, 10)).toMatch(
    /class 'b' has 6 images, too few for 10 folds.*at most 6 folds/,
  );
  expect(refusal({ a: 1, b: 9 }, 2)).toMatch(/class 'a' has 1 image, /);
});
