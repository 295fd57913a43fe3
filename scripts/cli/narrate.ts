import { type Method, Metrics, usesClustering } from "@subtaxa/contracts";
import { z } from "zod";
import { duration, percent, printable } from "./words.ts";

const head = { fold: z.number().int(), epoch: z.number().int() };
const Scores = Metrics.pick({ accuracy: true, fScore: true });

/** What is read of a run's facts (`GET /v1/runs/{id}/events`); facts without a line of their own keep their type. */
export const RunFact = z.union([
  z.object({ type: z.literal("run.requested"), ...head }),
  z.object({
    type: z.literal("epoch.trained"),
    ...head,
    training: z.object({ loss: z.number(), seconds: z.number() }),
  }),
  z.object({
    type: z.literal("epoch.validated"),
    ...head,
    loss: z.number(),
    metrics: Scores,
    converged: z.enum(["patience", "epochs"]).nullable(),
  }),
  z.object({
    type: z.literal("dataset.relabelled"),
    ...head,
    changes: z.array(z.object({ class: z.string(), from: z.number(), to: z.number() })),
  }),
  z.object({ type: z.enum(["backbone.extracted", "adaptation.planned", "features.extracted"]), ...head }),
  z.object({ type: z.literal("fold.completed"), ...head, metrics: Scores }),
  z.object({ type: z.enum(["run.completed", "run.failed", "run.cancelled"]) }),
]);
export type RunFact = z.infer<typeof RunFact>;

export const isEnd = ({ type }: RunFact): boolean =>
  type === "run.completed" || type === "run.failed" || type === "run.cancelled";

const changed = (changes: readonly { class: string; from: number; to: number }[]): string =>
  changes.length === 0
    ? "sub-classes as before"
    : changes.map(({ class: name, from, to }) => `${printable(name)} ${from}→${to}`).join(", ");

/**
 * Tells a run's facts as lines: one per epoch, which waits for the relabelling where the method has one, one per scored fold.
 */
export const narrator = ({ method, folds }: { readonly method: Method; readonly folds: number }) => {
  /** Per fold: the training figures, and the line that waits. */
  const trained = new Map<number, string>();
  const waiting = new Map<number, string>();
  const prefix = (fold: number) => (folds > 1 ? `fold ${fold}  ` : "");
  const flush = (fold: number, ending = ""): string[] => {
    const line = waiting.get(fold);
    waiting.delete(fold);
    return line === undefined ? [] : [line + ending];
  };
  return (fact: RunFact): string[] => {
    switch (fact.type) {
      case "epoch.trained":
        trained.set(
          fact.fold,
          `loss ${fact.training.loss.toFixed(4)}  ${duration(fact.training.seconds)}`,
        );
        return flush(fact.fold);
      case "epoch.validated": {
        const { fold, epoch, metrics: { accuracy, fScore }, converged } = fact;
        const end = converged === "patience"
          ? "  no improvement for long enough: done"
          : converged
          ? "  done"
          : "";
        waiting.set(
          fold,
          `${prefix(fold)}epoch ${String(epoch).padStart(3)}  ${trained.get(fold) ?? ""}  ` +
            `validation accuracy ${percent(accuracy)}  F ${percent(fScore)}${end}`,
        );
        return converged || !usesClustering(method) ? flush(fold) : [];
      }
      case "dataset.relabelled":
        return flush(fact.fold, `  ${changed(fact.changes)}`);
      case "fold.completed": {
        const { accuracy, fScore } = fact.metrics;
        return [
          ...flush(fact.fold),
          `${prefix(fact.fold)}held-out accuracy ${percent(accuracy)}  F ${percent(fScore)}`,
        ];
      }
      case "run.completed":
      case "run.failed":
      case "run.cancelled":
        return [...waiting.keys()].flatMap((fold) => flush(fold));
      default:
        return [];
    }
  };
};
