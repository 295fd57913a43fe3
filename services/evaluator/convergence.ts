import type { BlobRef, EventOf, FoldState, RunSpec } from "@subtaxa/contracts";

/** A validated epoch as convergence sees it. */
export interface Candidate {
  readonly epoch: number;
  /** Macro F-score on the validation images. */
  readonly fScore: number;
  readonly checkpoint: BlobRef;
  readonly labels: BlobRef | null;
}

/**
 * Algorithm 1, "while Not Converged". An epoch is the new best when its macro F-score exceeds the best one's by more than
 * `minImprovement`; the run has converged after `patience` epochs without a new best, or at its last epoch.
 */
export const converge = (
  best: FoldState["best"],
  candidate: Candidate,
  { minImprovement, patience, epochs }: Pick<RunSpec, "minImprovement" | "patience" | "epochs">,
): {
  readonly best: NonNullable<FoldState["best"]>;
  readonly converged: EventOf<"epoch.validated">["converged"];
} => {
  const newBest = best && candidate.fScore <= best.fScore + minImprovement ? best : candidate;
  if (candidate.epoch >= epochs) return { best: newBest, converged: "epochs" };
  return { best: newBest, converged: candidate.epoch - newBest.epoch >= patience ? "patience" : null };
};

/** The checkpoint of the former best epoch, which goes once there is a better one. */
export const dethroned = (
  former: FoldState["best"],
  best: NonNullable<FoldState["best"]>,
): readonly BlobRef[] => former && best.epoch !== former.epoch ? [former.checkpoint] : [];
