import {
  AdaptationPlanned,
  BackboneExtracted,
  DatasetFailed,
  DatasetImported,
  DatasetRelabelled,
  DatasetRequested,
  EpochTrained,
  EpochValidated,
  type Event,
  FeaturesExtracted,
  FoldCompleted,
  isFoldEvent,
  perClass,
  RunCancelled,
  RunCompleted,
  RunFailed,
  RunRequested,
  type ShardEvent,
} from "@subtaxa/contracts";
import { z } from "zod";
import type { DatasetEvent } from "./dataset_log.ts";

/**
 * Facts as the API shows them: without what only services need (spec, state, references to blobs) and without what is
 * asked for once rather than followed (confusion matrices). Parsing a fact with these schemas strips it.
 */
const internal = { v: true, spec: true, state: true } as const;
/** Per class, after the fact. */
const clusterNumbers = { clusters: perClass("integer"), allowedClusters: perClass("integer") };

export const RunEventView = z.discriminatedUnion("type", [
  RunRequested.omit(internal).extend({ epochs: z.number().int() }),
  BackboneExtracted.omit(internal),
  EpochTrained.omit(internal),
  EpochValidated.omit({ ...internal, confusion: true, falseNegatives: true })
    .extend({
      falseNegatives: perClass("number"),
      /** The fold's best epoch so far, by which it is scored in the end. */
      bestEpoch: z.number().int().optional(),
    }),
  AdaptationPlanned.omit(internal).extend(clusterNumbers),
  FeaturesExtracted.omit({ ...internal, features: true, images: true }),
  DatasetRelabelled.omit(internal).extend(clusterNumbers),
  FoldCompleted.omit({ ...internal, confusion: true, predictions: true }),
  RunCompleted.omit({ v: true, report: true }),
  RunFailed.omit({ v: true }),
  RunCancelled.omit({ v: true }),
]).meta({ id: "RunEvent" });
export type RunEventView = z.infer<typeof RunEventView>;

export const DatasetEventView = z.discriminatedUnion("type", [
  DatasetRequested.omit({ v: true }),
  DatasetImported.omit({ v: true, manifest: true }),
  DatasetFailed.omit({ v: true, report: true }),
]).meta({ id: "DatasetEvent" });
export type DatasetEventView = z.infer<typeof DatasetEventView>;

/** A fact of a run, as the API shows it. */
export const runEventView = (event: Exclude<Event, DatasetEvent | ShardEvent>): RunEventView => {
  if (!isFoldEvent(event)) return RunEventView.parse(event);
  const { spec, state } = event;
  const byName = <A>(valueOf: (i: number) => A) =>
    Object.fromEntries(spec.classes.map((name, i) => [name, valueOf(i)]));
  return RunEventView.parse({
    ...event,
    epochs: spec.epochs,
    clusters: byName((i) => state.classes[i]?.clusters),
    allowedClusters: byName((i) => state.classes[i]?.allowedClusters),
    ...(event.type === "epoch.validated"
      ? {
        falseNegatives: byName((i) => event.falseNegatives[i] ?? 0),
        ...(state.best ? { bestEpoch: state.best.epoch } : {}),
      }
      : {}),
  });
};

export const datasetEventView = (event: DatasetEvent): DatasetEventView => DatasetEventView.parse(event);
