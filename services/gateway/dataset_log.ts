import type { Fact } from "@subtaxa/bus";
import type { DatasetProgress, DatasetView, EventOf, Manifest } from "@subtaxa/contracts";

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

/** The dataset as the API shows it; `manifest` is that of the import when it succeeded. */
export const datasetView = (log: DatasetLog, manifest: Manifest | null): DatasetView => {
  const { name, maxSide } = log;
  const about = { name, ...(maxSide === undefined ? {} : { maxSide }) };
  const empty = { ...about, classes: [], rejected: [] };
  if (!log.end) {
    const { progress } = log;
    return {
      ...empty,
      state: "importing",
      ...(progress ? { progress: { done: progress.done, total: progress.total } } : {}),
    };
  }
  if (log.end.event.type === "dataset.failed") {
    return { ...empty, state: "failed", error: log.end.event.error };
  }
  const counts = new Array<number>(manifest?.classes.length ?? 0).fill(0);
  for (const image of manifest?.images ?? []) counts[image.class]! += 1;
  return {
    ...about,
    state: "ready",
    classes: manifest?.classes.map((name, i) => ({ name, images: counts[i]! })) ?? [],
    rejected: manifest?.rejected ?? [],
  };
};
