import { type Method, RunMetricsView, usesClustering } from "@subtaxa/contracts";
import { Effect } from "effect";
import { ask, type CliError, request, runView, type Target } from "../cli/mod.ts";
import { groupBefore, type LabelRow, labelRows } from "../splits/mod.ts";
import { agreementsOf, labelsOfEpochs } from "./labels.ts";
import type { Collected } from "./results.ts";

/** The pseudo-labels that each fold's best epoch was trained on; none for a run that never divided a class. */
const bestLabels = (
  target: Target,
  id: string,
  epochs: ReadonlyMap<number, number>,
): Effect.Effect<ReadonlyMap<number, readonly LabelRow[]>, CliError> =>
  request(target, `/v1/runs/${id}/labels.csv`).pipe(
    Effect.flatMap(({ body }) =>
      Effect.promise(() => labelsOfEpochs(labelRows(body ?? new Blob().stream()), epochs))
    ),
    // the only conflict at this address: there is no such result (`no-result`)
    Effect.catchIf(
      ({ reason }) => reason._tag === "Refused" && reason.status === 409,
      () => Effect.succeed(new Map<number, LabelRow[]>()),
    ),
  );

/** What a completed run left behind; `groups` separates the known group from the rest of a file's name. */
export const collect = (
  target: Target,
  { method, id }: { readonly method: Method; readonly id: string },
  groups: string | undefined,
): Effect.Effect<Collected, CliError> =>
  Effect.gen(function* () {
    const metrics = yield* ask(target, `/v1/runs/${id}/metrics`, RunMetricsView);
    const { history, settings, clusterer } = yield* runView(target, id);
    const collected = { method, id, metrics, history, settings, clusterer };
    if (groups === undefined || !usesClustering(method)) return { ...collected, agreement: [] };
    const epochs = new Map(metrics.folds.map(({ fold, bestEpoch }) => [fold, bestEpoch]));
    const labels = yield* bestLabels(target, id, epochs);
    const agreement = agreementsOf(labels, epochs, groupBefore(groups));
    if (agreement.length === 0 && agreementsOf(labels, epochs, () => "any").length > 0) {
      console.error(
        `${method}: no file name in the classes that were split holds "${groups}", ` +
          "so their sub-classes are not compared with groups",
      );
    }
    return { ...collected, agreement };
  });
