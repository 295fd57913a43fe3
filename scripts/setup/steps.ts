import { Effect } from "effect";
import type { SetupError } from "./errors.ts";
import { withLock } from "./lock.ts";
import type { Report } from "./progress.ts";

/** One part of set-up: whether its result is there, and how to make it. */
export interface Step {
  readonly isDone: () => boolean;
  readonly run: Effect.Effect<void, SetupError>;
}

/**
 * Runs, one after the other and under the home's lock, the steps whose result isn't there. What another set-up made
 * while this one waited for the lock is not made again.
 */
export const runSteps = (
  home: string,
  steps: readonly Step[],
  report: Report,
): Effect.Effect<void, SetupError> => {
  if (steps.every((step) => step.isDone())) return Effect.void;
  const started = performance.now();
  return withLock(
    home,
    (holder) => report({ _tag: "Waiting", holder }),
    Effect.gen(function* () {
      for (const step of steps) if (!step.isDone()) yield* step.run;
      report({ _tag: "Ready", home, seconds: (performance.now() - started) / 1000 });
    }),
  );
};
