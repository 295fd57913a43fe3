import type { Manifest, RunRequest } from "@subtaxa/contracts";
import { split } from "@subtaxa/dataset";
import { Effect } from "effect";
import { fieldProblem, type ProblemError } from "./api/problem.ts";

/** With as many images and at least one per fold, `split` gives a class an image in every part. */
const ENOUGH = 5;

/**
 * Whether every fold has training, validation and held-out images of every class; else a problem that names a class that
 * hasn't.
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
  for (let fold = 0; fold < folds; fold++) {
    const parts = split(labels, { seed, folds, fold });
    for (const part of ["train", "validation", "test"] as const) {
      const present = new Set(Array.from(parts[part], (image) => labels[image]));
      const missing = small.find((label) => !present.has(label));
      if (missing === undefined) continue;
      const images = counts[missing] === 1 ? "1 image" : `${counts[missing]} images`;
      const advice = folds > 1 && counts[missing]! >= ENOUGH
        ? `use at most ${counts[missing]} folds`
        : `add images, or import again with minClassImages ${counts[missing]! + 1} to leave the class out`;
      return fieldProblem(
        "impossible-split",
        "folds",
        `class '${manifest.classes[missing]}' has ${images}, too few for ${
          folds === 1 ? "the split" : `${folds} folds`
        }` +
          ` (fold ${fold} would have none of it in its ${part} part): ${advice}`,
      );
    }
  }
  return Effect.void;
};
