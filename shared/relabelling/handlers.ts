import { Blobs, type Bus, optionalFile, type Outcome } from "@subtaxa/bus";
import {
  type ClassState,
  type ClustererVersion,
  type Event,
  type EventOf,
  type Failure,
  following,
} from "@subtaxa/contracts";
import { progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import type { z } from "zod";
import { checkParameters } from "./parameters.ts";
import type { ClustererWork } from "./worker.ts";

/** The thread that divides classes: a large class takes longer than a probe waits. */
export class Clusterer
  extends Context.Service<Clusterer, TensorWorker<ClustererWork>>()("subtaxa/Clusterer") {
  static readonly layer = (worker: URL) => Layer.effect(Clusterer, TensorWorker.make<ClustererWork>(worker));
}

/** After these facts a clusterer says how many clusters each class may have. */
const planning = ["run.requested", "backbone.extracted", "epoch.validated"] as const;

/** What a clusterer takes from its route. */
export const taken = [...planning, "features.extracted"] as const;

/**
 * How many clusters each class may have from now on: `state.classes` with new `allowedClusters` and flags. Only
 * `epoch.validated` tells how the classes are recognised; the other two come before the first epoch.
 */
export type Plan = (
  event: EventOf<typeof planning[number]>,
) => Effect.Effect<readonly ClassState[], Failure>;

type Handling = Effect.Effect<Outcome, Failure, Clusterer | Bus | Blobs>;

const splitting = (classes: readonly ClassState[]) =>
  classes.filter(({ allowedClusters }) => allowedClusters > 1).map(({ name }) => name);

/** → `adaptation.planned` */
const planWith = (plan: Plan, event: Parameters<Plan>[0]): Handling =>
  Effect.gen(function* () {
    const classes = yield* plan(event);
    const planned: Event = {
      ...following(event),
      type: "adaptation.planned",
      at: yield* timestamp,
      state: { ...event.state, classes: [...classes] },
      classes: splitting(classes),
    };
    return { events: [planned] };
  });

/** `features.extracted` → `dataset.relabelled`: the clusters, and each of them a class of its own. */
const relabel = (clusterer: ClustererVersion, event: EventOf<"features.extracted">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const blobs = yield* Blobs;
    const worker = yield* Clusterer;
    const { runId, spec, fold, epoch, state, features, images } = event;
    const outputFile = yield* scratchFile;
    const step = { runId, fold, epoch, step: "cluster", splitting: splitting(state.classes) } as const;
    const { classes, changes, agreement } = yield* worker.call("relabel", {
      spec,
      fold,
      epoch,
      classes: state.classes,
      imagesFile: yield* blobs.file(images),
      featuresFile: yield* blobs.file(features),
      labelsFile: yield* optionalFile(state.labels),
      outputFile,
    }, { onProgress: yield* progressOf(step) });
    const labels = yield* blobs.putFile(outputFile);
    const relabelled: Event = {
      ...following(event),
      type: "dataset.relabelled",
      at: yield* timestamp,
      state: { ...state, labels, classes: [...classes] },
      changes: [...changes],
      agreement,
      clusterer,
    };
    return { events: [relabelled], obsolete: [features] };
  }));

/** What one clusterer differs in from another, for its handler. */
export interface Ways {
  readonly clusterer: ClustererVersion;
  readonly plan: Plan;
  /** What a run's `parameters` may be. */
  readonly parameters: z.ZodObject;
}

const handle = (plan: Plan, clusterer: ClustererVersion, event: Event): Handling => {
  switch (event.type) {
    case "run.requested":
    case "backbone.extracted":
    case "epoch.validated":
      return planWith(plan, event);
    case "features.extracted":
      return relabel(clusterer, event);
    default:
      return unexpected(event);
  }
};

export const clusterBy = (ways: Ways) => (event: Event): Handling =>
  "spec" in event
    ? Effect.flatMap(
      checkParameters(ways.parameters, event.spec.clusterer, event.spec.parameters),
      (parameters) => handle(ways.plan, { ...ways.clusterer, parameters }, event),
    )
    : unexpected(event);
