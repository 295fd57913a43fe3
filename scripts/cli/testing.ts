import type { DatasetView, RunView } from "@subtaxa/contracts";

/** A run in its first epoch, for tests. */
export const runView: RunView = {
  id: "r1",
  state: "running",
  dataset: "plankton",
  method: "clustering",
  backbone: "small",
  imageSize: 64,
  seed: 0,
  folds: 1,
  epoch: 1,
  epochs: 2,
  epochsDone: 0,
  step: "training",
  createdAt: "2024-05-01T10:00:00.000Z",
  classes: [],
  history: [],
};

/** A dataset of two classes from which one file was left out, for tests. */
export const datasetView: DatasetView = {
  name: "plankton",
  state: "ready",
  classes: [{ name: "copepod", images: 1200 }, { name: "detritus", images: 212 }],
  rejected: [{ file: "copepod/1.png", reason: "can't be decoded" }],
  rejectedByReason: [{ reason: "can't be decoded", files: 1 }],
  warnings: [],
  labelConflicts: [],
};
