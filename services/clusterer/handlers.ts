import { Blobs, type Bus, type Outcome } from "@subtaxa/bus";
import { type Event, type Failure, following } from "@subtaxa/contracts";
import { optionalFile, progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import { adapt } from "./adaptation.ts";
import type { ClusteringError } from "./errors.ts";
import type { ClustererWork } from "./worker.ts";

/** The thread that divides classes: X-Means over a large class takes longer than a probe waits. */
export class Clusterer
  extends Context.Service<Clusterer, TensorWorker<ClustererWork>>()("subtaxa/Clusterer") {
  static readonly layer = Layer.effect(
    Clusterer,
    TensorWorker.make<ClustererWork>(new URL("./worker.ts", import.meta.url)),
  );
}

type Handling = Effect.Effect<Outcome, Failure, Clusterer | Bus | Blobs>;

/** `epoch.validated` → `adaptation.planned`: how many clusters each class may have from now on. */
const plan = (event: Event): Handling =>
  Effect.gen(function* () {
    if (event.type !== "epoch.validated") return yield* unexpected(event);
    const { spec, state, falseNegatives } = event;
    const classes = yield* Effect.try({
      try: () => adapt(state.classes, falseNegatives, spec),
      catch: (cause) => cause as ClusteringError, // the only one that it throws
    });
    const planned: Event = {
      ...following(event),
      type: "adaptation.planned",
      at: yield* timestamp,
      state: { ...state, classes },
      classes: classes.filter(({ allowedClusters }) => allowedClusters > 1).map(({ name }) => name),
    };
    return { events: [planned] };
  });

/** `features.extracted` → `dataset.relabelled`: the clusters, and each of them a class of its own. */
const relabel = (event: Event): Handling =>
  Effect.scoped(Effect.gen(function* () {
    if (event.type !== "features.extracted") return yield* unexpected(event);
    const blobs = yield* Blobs;
    const worker = yield* Clusterer;
    const { runId, spec, fold, epoch, state, features } = event;
    const outputFile = yield* scratchFile;
    const splitting = state.classes.filter(({ allowedClusters }) => allowedClusters > 1).map(({ name }) =>
      name
    );
    const { classes, changes, agreement } = yield* worker.call("relabel", {
      spec,
      fold,
      epoch,
      classes: state.classes,
      manifestFile: yield* blobs.file(spec.manifest),
      featuresFile: yield* blobs.file(features),
      labelsFile: yield* optionalFile(state.labels),
      outputFile,
    }, { onProgress: yield* progressOf({ runId, fold, epoch, step: "cluster", splitting }) });
    const labels = yield* blobs.putFile(outputFile);
    const relabelled: Event = {
      ...following(event),
      type: "dataset.relabelled",
      at: yield* timestamp,
      state: { ...state, labels, classes: [...classes] },
      changes: [...changes],
      agreement,
    };
    return { events: [relabelled], obsolete: [features] };
  }));

export const cluster = (event: Event): Handling =>
  event.type === "features.extracted" ? relabel(event) : plan(event);
