import type { FoldEvent } from "@subtaxa/contracts";

/** The order of an epoch's facts; a fold's chain is strictly sequential. */
const steps = {
  "run.requested": 0,
  "backbone.extracted": 1,
  "epoch.trained": 2,
  "epoch.validated": 3,
  "adaptation.planned": 4,
  "features.extracted": 5,
  "dataset.relabelled": 6,
  "fold.completed": 7,
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
