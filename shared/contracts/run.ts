import { z } from "zod";
import { BlobRef } from "./blob.ts";

/** Safe as one token of a NATS subject and as a file name. */
export const Name = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  "must be 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit",
);

/** The training methods (paper, section 4); GS-TRS needs a clusterer of its own. */
export const Method = z.enum(["standard", "triplet", "clustering", "clustering+triplet"]);
export type Method = z.infer<typeof Method>;
export const usesClustering = (method: Method): boolean => method.startsWith("clustering");
export const usesTriplets = (method: Method): boolean => method.endsWith("triplet");

export const Backbone = z.enum(["small", "resnet50", "efficientnet-b0"]);
export type Backbone = z.infer<typeof Backbone>;

/** Routes that no clusterer may take as its name, because they name the next step of a run (see `routeOf`). */
const reservedRoutes = ["train", "validate", "score", "extract", "join", "end", "import"];
const ClustererName = Name.refine((name) => !reservedRoutes.includes(name), "is reserved");

/**
 * What a user may ask of a run (`POST /v1/runs`). Defaults are the paper's where it states them (section 4) and
 * Subtaxa's documented choice otherwise.
 */
export const RunRequest = z.strictObject({
  dataset: Name.describe("name of an imported dataset"),
  method: Method.default("clustering+triplet"),
  backbone: Backbone.default("small").describe(
    "small: for CPUs, 32 to 96 pixels; resnet50, efficientnet-b0: imageSize 224 or 256, learningRate 2e-4 (the paper's), " +
      "best on a GPU",
  ),
  imageSize: z.number().int().min(16).max(512).multipleOf(8).default(64)
    .describe(
      "side in pixels to which the padded square images are resized; 256 in the paper",
    ),
  epochs: z.number().int().min(1).max(10_000).default(100).describe(
    "upper limit; `patience` may end it earlier",
  ),
  folds: z.number().int().min(1).max(20).default(1)
    .describe("1: one stratified 70/10/20 split; k > 1: k-fold cross-validation"),
  seed: z.number().int().min(0).max(2 ** 31 - 1).default(0),
  batchSize: z.number().int().min(2).max(1024).default(128),
  learningRate: z.number().positive().max(1).default(1e-3).describe(
    "Adam, constant; 2e-4 for resnet50 and efficientnet-b0, as in the paper",
  ),
  margin: z.number().positive().max(2).default(0.2).describe(
    "alpha of the triplet loss, L2-normalised embeddings",
  ),
  augmentation: z.enum(["none", "flip-rotate"]).default("none"),
  confusionThreshold: z.number().min(0).max(1).default(0.3),
  maxClusters: z.number().int().min(1).max(32).default(5),
  minClusterSize: z.number().int().min(2).max(10_000).default(8),
  criterion: z.enum(["bic", "aic"]).default("bic"),
  dimension: z.enum(["effective", "nominal"]).default("effective")
    .describe(
      "dimension in the information criterion: participation ratio of the class, or that of the embedding",
    ),
  normalisation: z.enum(["l2", "none"]).default("l2").describe("of the embeddings before X-Means"),
  clusterer: ClustererName.default("xmeans"),
  patience: z.number().int().min(1).max(10_000).default(10)
    .describe(
      "epochs without an improvement of the validation macro F-score by `minImprovement` before the run ends",
    ),
  minImprovement: z.number().min(0).max(1).default(0.001),
});
export type RunRequest = z.infer<typeof RunRequest>;

/** A run as the services see it: the request, settled, with the dataset pinned by its manifest's hash. */
export const RunSpec = RunRequest.extend({
  /** The dataset's manifest as it was when the run was created (`Manifest`, JSON). */
  manifest: BlobRef,
  /** The original classes, in the manifest's order: index i of every per-class array. */
  classes: z.array(z.string()).min(2),
});
export type RunSpec = z.infer<typeof RunSpec>;

/** State of one class in Algorithm 1, and how many sub-classes it is divided into at present. */
export const ClassState = z.object({
  name: z.string(),
  allowedClusters: z.number().int().min(1),
  flag: z.union([z.literal(0), z.literal(1)]),
  clusters: z.number().int().min(1),
});
export type ClassState = z.infer<typeof ClassState>;

/** What one fold of a run carries from event to event; whoever takes the next message needs nothing else. */
export const FoldState = z.object({
  /** Weights, optimizer moments and head after the latest finished epoch; null before the first. */
  checkpoint: BlobRef.nullable(),
  /** Pseudo-labels in force (`labels` artifact); null while every class is whole. */
  labels: BlobRef.nullable(),
  classes: z.array(ClassState),
  /** The epoch with the best validation macro F-score so far. */
  best: z.object({
    epoch: z.number().int().min(1),
    fScore: z.number(),
    checkpoint: BlobRef,
    labels: BlobRef.nullable(),
  }).nullable(),
});
export type FoldState = z.infer<typeof FoldState>;

/** The state of Algorithm 1 at its first line: one allowed cluster and flag 0 for each class. */
export const initialFoldState = (classes: readonly string[]): FoldState => ({
  checkpoint: null,
  labels: null,
  classes: classes.map((name) => ({ name, allowedClusters: 1, flag: 0, clusters: 1 })),
  best: null,
});

const fraction = z.number().min(0).max(1);

/** Classification metrics over the original classes, as fractions; macro averages over the classes. */
export const Metrics = z.object({
  accuracy: fraction,
  precision: fraction,
  recall: fraction,
  fScore: fraction,
  /** Population variance over the classes of 1 − diagonal of the row-normalised confusion matrix. */
  falseNegativeVariance: z.number().min(0),
  /** Population variance of the off-diagonal column sums of the row-normalised confusion matrix (can exceed 1). */
  falsePositiveVariance: z.number().min(0),
  /** The same over false-positive rates FP / (FP + TN). */
  falsePositiveRateVariance: z.number().min(0),
  /** The same over false-discovery rates 1 − precision. */
  falseDiscoveryRateVariance: z.number().min(0),
  /** Classes without a false negative. */
  perfectClasses: z.number().int().min(0),
});
export type Metrics = z.infer<typeof Metrics>;
