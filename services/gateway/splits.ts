import type { Manifest, RunRequest } from "@subtaxa/contracts";
import { split } from "@subtaxa/dataset";
import { Effect } from "effect";
import { fieldProblem, type ProblemError } from "./problem.ts";

/** With as many images and at least one per fold, `split` gives a class an image in every part. */
const ENOUGH = 5;

/**
 * Whether every fold has training, validation and held-out images of every class; else a problem that names the smallest
 * class that hasn't.
 */
export const checkSplits = (
  manifest: Manifest,
  { seed, folds }: Pick<RunRequest, "seed" | "folds">,
): Effect.Effect<void, ProblemError> => {
  const labels = manifest.images.map((image) => image.class);
  const counts = manifest.classes.map(() => 0);
  for (const label of labels) counts[label]! += 1;
  const small = counts.flatMap((count, label) => count < Math.max(ENOUGH, folds) ? [label] : []);
  if (small.length === 0) return Effect.void;
  let worst: { label: number; fold: number; part: string } | undefined;
  for (let fold = 0; fold < folds; fold++) {
    for (const [part, images] of Object.entries(split(labels, { seed, folds, fold }))) {
      const present = new Set(Array.from(images as Uint32Array, (image) => labels[image]));
      for (const label of small) {
        if (present.has(label) || (worst && counts[worst.label]! <= counts[label]!)) continue;
        worst = { label, fold, part };
      }
    }
  }
  if (!worst) return Effect.void;
  const count = counts[worst.label]!;
  const advice = count >= ENOUGH
    ? `use at most ${count} folds`
    : `add images, or import again with minClassImages ${count + 1} to leave the class out`;
  return fieldProblem(
    "impossible-split",
    "folds",
    `class '${manifest.classes[worst.label]}' has ${count} image${count === 1 ? "" : "s"}, too few for ` +
      `${folds === 1 ? "the split" : `${folds} folds`} (fold ${worst.fold} would have none of it in its ` +
      `${worst.part} part): ${advice}`,
  );
};
