import type { FoldEvent } from "@subtaxa/contracts";

/** The order of an epoch's facts; a fold's chain is strictly sequential. */
const steps = {
  "run.requested": 0,
  "epoch.trained": 1,
  "epoch.validated": 2,
  "adaptation.planned": 3,
  "features.extracted": 4,
  "dataset.relabelled": 5,
  "fold.completed": 6,
} as const satisfies Record<FoldEvent["type"], number>;

/** The place of a fact in its fold's chain. */
export const placeOf = (event: { type: FoldEvent["type"]; epoch: number }): number =>
  event.epoch * 8 + steps[event.type];

/**
 * Whether a fact is newer than all that its fold has seen. A fact that isn't was delivered or published again: the first
 * one counts, which makes whatever folds over a log idempotent by (type, fold, epoch).
 */
export const isNewer = (event: FoldEvent, newest: number | undefined): boolean =>
  newest === undefined || placeOf(event) > newest;
