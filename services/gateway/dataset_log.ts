import type { Fact } from "@subtaxa/bus";
import {
  type DatasetProgress,
  type DatasetView,
  type EventOf,
  type ImportReport,
  type Manifest,
  reasonGroups,
} from "@subtaxa/contracts";

export type DatasetEvent = EventOf<"dataset.requested" | "dataset.imported" | "dataset.failed">;
export type DatasetEnd = Exclude<DatasetEvent, { type: "dataset.requested" }>;

/** The latest import of a dataset, as its facts tell it. */
export interface DatasetLog {
  readonly name: string;
  /** Sequence of the fact that the import begins with. */
  readonly from: number;
  /** To what larger images are reduced, pixels; absent when the request isn't in the log. */
  readonly maxSide?: number;
  /** How it ended, and the sequence of that fact; absent while it goes on. */
  readonly end?: { readonly seq: number; readonly event: DatasetEnd };
  readonly progress?: DatasetProgress;
}

export const isDatasetEvent = (event: Fact["event"]): event is DatasetEvent => "dataset" in event;

/** The log after one more fact of the dataset: a request begins anew, an end without a request stands for itself. */
export const projectDataset = (
  previous: DatasetLog | undefined,
  seq: number,
  event: DatasetEvent,
): DatasetLog =>
  event.type === "dataset.requested" ? { name: event.dataset, from: seq, maxSide: event.maxSide } : {
    name: event.dataset,
    from: previous?.from ?? seq,
    ...(previous?.maxSide === undefined ? {} : { maxSide: previous.maxSide }),
    end: { seq, event },
  };

/** The log with the progress of the import; what comes late changes nothing. */
export const withDatasetProgress = (log: DatasetLog, progress: DatasetProgress): DatasetLog =>
  log.end || (log.progress && progress.done < log.progress.done) ? log : { ...log, progress };

const nothing: ImportReport = { rejected: [], warnings: [], labelConflicts: [], depth: null };

const reported = ({ rejected, warnings, labelConflicts, depth }: ImportReport) => ({
  rejected,
  rejectedByReason: reasonGroups(rejected).map(({ reason, files }) => ({ reason, files: files.length })),
  warnings,
  labelConflicts,
  ...(depth && { depth }),
});

const about = ({ name, maxSide }: DatasetLog) => ({ name, ...(maxSide === undefined ? {} : { maxSide }) });

/** A dataset that is being imported, as the API shows it. */
export const importingView = (log: DatasetLog): DatasetView => ({
  ...about(log),
  state: "importing",
  classes: [],
  ...reported(nothing),
  ...(log.progress && { progress: { done: log.progress.done, total: log.progress.total } }),
});

/** A dataset that can't be used, with what its import has reported. */
export const failedView = (
  log: DatasetLog,
  error: NonNullable<DatasetView["error"]>,
  report: ImportReport = nothing,
): DatasetView => ({ ...about(log), state: "failed", classes: [], ...reported(report), error });

/** A dataset that runs can use. */
export const readyView = (log: DatasetLog, manifest: Manifest): DatasetView => {
  const counts = manifest.classes.map(() => 0);
  for (const image of manifest.images) counts[image.class]! += 1;
  return {
    ...about(log),
    state: "ready",
    classes: manifest.classes.map((name, i) => ({ name, images: counts[i]! })),
    ...reported(manifest),
    ...(manifest.pixelSize === null ? {} : { pixelSize: manifest.pixelSize }),
  };
};
