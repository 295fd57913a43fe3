import { z } from "zod";
import { ImportWarning, LabelConflict, LabelConflictPolicy, Rejected, SampleDepth } from "./dataset.ts";
import { Backbone, ClustererName, Method, Metrics, Name, RunRequest, RunSettings } from "./run.ts";

/** RFC 9457 problem details, with the offending field or file where there is one. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  instance: z.string().optional(),
  /** Per offending field of the request: JSON path and what is wrong. */
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;

export const ErrorView = z.object({ tag: z.string(), message: z.string() });

/** `POST /v1/datasets` */
export const DatasetRequest = z.strictObject({
  name: Name,
  path: z.string().min(1).describe("folder of class folders, below one of SUBTAXA_DATA_ROOTS"),
  maxSide: z.number().int().min(16).max(1024).default(256).describe(
    "larger images are reduced to this side, pixels",
  ),
  minClassImages: z.number().int().min(5).max(10_000).default(5)
    .describe("classes with fewer readable images are left out"),
  bitDepth: z.number().int().min(8).max(16).optional().describe(
    "bits that the camera of the 16-bit images has (default: the largest value of all of them, rounded up to 8, 10, 12, 14 " +
      "or 16 bits)",
  ),
  offset: z.number().int().min(0).max(65_535).optional().describe(
    "value of black in the 16-bit images (default: 0, or 32768 where all their values say so)",
  ),
  pixelSize: z.number().min(1e-6).max(1e6).optional().describe(
    "µm that a pixel is wide and high, in all images",
  ),
  onLabelConflict: LabelConflictPolicy.default("keep").describe(
    "pictures that lie in several classes: keep them in each, drop them from all, or ask, which ends the import with the list",
  ),
});
export type DatasetRequest = z.infer<typeof DatasetRequest>;

/** A dataset as the API shows it. */
export const DatasetView = z.object({
  name: Name,
  state: z.enum(["importing", "ready", "failed"]),
  maxSide: z.number().int().optional().describe(
    "side to which its larger images are reduced, pixels; absent where that isn't known any more",
  ),
  classes: z.array(z.object({ name: z.string(), images: z.number().int() })),
  rejected: z.array(Rejected),
  rejectedByReason: z.array(z.object({ reason: z.string(), files: z.number().int() })).describe(
    "how many of the rejected files have which reason, the commonest first; all of them: /v1/datasets/{name}/rejected.csv",
  ),
  warnings: z.array(ImportWarning),
  labelConflicts: z.array(LabelConflict).describe("pictures that lie in several classes"),
  depth: SampleDepth.optional().describe(
    "how 16-bit samples became 8 bit; absent where no image has 16 bits",
  ),
  pixelSize: z.number().optional().describe("µm per pixel, where it is known"),
  progress: z.object({ done: z.number().int(), total: z.number().int() }).optional(),
  error: ErrorView.optional(),
});
export type DatasetView = z.infer<typeof DatasetView>;

export const RunState = z.enum(["queued", "running", "completed", "failed", "cancelled"]);
export type RunState = z.infer<typeof RunState>;

/** Whether a run is over, one way or another. */
export const hasEnded = ({ state }: { readonly state: RunState }): boolean =>
  state !== "queued" && state !== "running";

/**
 * A number per class, by the class's name. A record of zod would leave out `__proto__`, which a class may be called. A class may
 * also be called `constructor`: look up a name with `Object.hasOwn`.
 */
export const perClass = (type: "integer" | "number") =>
  z.custom<Readonly<Record<string, number>>>((given) =>
    typeof given === "object" && given !== null && !Array.isArray(given) &&
    Object.values(given).every(type === "integer" ? Number.isInteger : Number.isFinite)
  ).meta({ type: "object", additionalProperties: { type } });

/** One validated epoch of one fold. */
export const EpochView = z.object({
  fold: z.number().int(),
  epoch: z.number().int(),
  /** Mean training loss; `validationLoss` is the cross-entropy over the original classes. */
  loss: z.number(),
  validationLoss: z.number(),
  /** Only with triplet loss: share of the mined triplets that are active, mean distances anchor–positive and –negative. */
  activeTriplets: z.number().optional(),
  positiveDistance: z.number().optional(),
  negativeDistance: z.number().optional(),
  ...Metrics.shape,
  /** Sub-classes per class that this epoch was trained on. */
  clusters: perClass("integer"),
  falseNegatives: perClass("number"),
  /** Upper limits after this epoch's adaptation; those before it where there was none. */
  allowedClusters: perClass("integer"),
  /** NMI of the relabelling after this epoch with the assignment before it. */
  agreement: z.number().optional(),
  clustererVersion: z.string().optional().describe(
    "of the clusterer that did this relabelling, if it says so",
  ),
  seconds: z.number(),
});
export type EpochView = z.infer<typeof EpochView>;

/** A run as the API shows it. */
export const RunView = z.object({
  id: Name,
  state: RunState,
  dataset: Name,
  method: Method,
  clusterer: z.object({
    name: ClustererName,
    parameters: RunRequest.shape.parameters.unwrap().describe(
      "its own settings; once it has relabelled, with the defaults of the version that did it last",
    ),
    versions: z.array(z.string()).describe("of those that have relabelled so far, if they say so"),
  }).optional().describe("who divides the classes; absent where the method divides none"),
  backbone: Backbone,
  imageSize: z.number().int(),
  seed: z.number().int(),
  folds: z.number().int(),
  /** The latest epoch begun or finished, over all folds; `epochs` is the upper limit. */
  epoch: z.number().int(),
  epochs: z.number().int(),
  epochsDone: z.number().int().describe("validated epochs of all folds together"),
  /** What the run is doing or waiting for, in words. */
  step: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().optional(),
  /** Estimate from the epochs so far, for the full number of epochs; absent while the run can't go on. */
  secondsLeft: z.number().optional(),
  waitsUntil: z.string().optional().describe(
    "only while no instance of its clusterer is alive: when the run fails unless one comes",
  ),
  error: ErrorView.optional(),
  /** Held-out metrics, mean over the folds; present when completed. */
  metrics: Metrics.optional(),
  classes: z.array(z.object({
    name: z.string(),
    falseNegative: z.number(),
    allowedClusters: z.number().int(),
    clusters: z.number().int(),
  })),
  history: z.array(EpochView),
  settings: RunSettings.optional().describe("all that it is trained with; not in lists without history"),
});
export type RunView = z.infer<typeof RunView>;

/** `GET /v1/runs/{id}/metrics`: held-out results. */
export const RunMetricsView = z.object({
  id: Name,
  metrics: Metrics,
  folds: z.array(z.object({
    fold: z.number().int(),
    bestEpoch: z.number().int(),
    metrics: Metrics,
    confusion: z.array(z.array(z.number().int())),
  })),
  classes: z.array(z.string()),
});
export type RunMetricsView = z.infer<typeof RunMetricsView>;
