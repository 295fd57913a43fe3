import { z } from "zod";
import { BlobRef } from "./blob.ts";
import { open } from "./open.ts";

/** Safe as one token of a NATS subject and as a file name. */
export const Name = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  "must be 1 to 64 letters, digits, '-' or '_', beginning with a letter or digit",
);

/** The training methods that the paper compares (section 4.2). */
export const Method = z.enum(["standard", "triplet", "clustering", "clustering+triplet", "gs-trs"]);
export type Method = z.infer<typeof Method>;
/** Whether classes are divided into sub-classes after each epoch. */
export const usesClustering = (method: Method): boolean =>
  method.startsWith("clustering") || method === "gs-trs";
export const usesTriplets = (method: Method): boolean => method.endsWith("triplet") || method === "gs-trs";

export const Backbone = z.enum(["small", "resnet50", "efficientnet-b0"]);
export type Backbone = z.infer<typeof Backbone>;

/** The stages of each network from the images on; the names of a stage's layers begin with the stage's. */
export const stagesOf = {
  small: ["stem", "stage1", "stage2", "stage3"],
  resnet50: ["conv1", "conv2", "conv3", "conv4", "conv5"],
  "efficientnet-b0": [
    ...["stem", "block1", "block2", "block3", "block4", "block5", "block6", "block7", "top"] as const,
  ],
} as const satisfies Record<Backbone, readonly string[]>;

/** Width of what each backbone gives: its features, pooled over the image. */
export const featuresOf = { small: 64, resnet50: 2048, "efficientnet-b0": 1280 } as const satisfies Record<
  Backbone,
  number
>;

/** What of the network keeps its pretrained weights: nothing, all stages up to the one named, or the whole backbone. */
export const Freeze = z.enum([
  "none",
  ...new Set([...stagesOf.small, ...stagesOf.resnet50, ...stagesOf["efficientnet-b0"]]),
  "backbone",
]);
export type Freeze = z.infer<typeof Freeze>;

/** The stages that are frozen; undefined when the network has none of that name. */
export const frozenStages = (backbone: Backbone, freeze: Freeze): readonly string[] | undefined => {
  const stages: readonly string[] = stagesOf[backbone];
  if (freeze === "none") return [];
  if (freeze === "backbone") return stages;
  return stages.includes(freeze) ? stages.slice(0, stages.indexOf(freeze) + 1) : undefined;
};

/** Routes that no clusterer may take as its name, because they name the next step of a run (see `routeOf`). */
export const reservedRoutes = ["train", "validate", "score", "extract", "join", "end", "import"];
export const ClustererName = Name.refine((name) => !reservedRoutes.includes(name), "is reserved");
/** Which program it was that divided classes. */
export const ClustererVersion = z.object({
  name: ClustererName,
  version: z.string().min(1).max(64),
  parameters: z.record(z.string(), z.unknown()).optional().describe(
    "the settings of its own that it worked with, defaults included",
  ),
});
export type ClustererVersion = z.infer<typeof ClustererVersion>;

/** Side of the images in pixels. */
const ImageSize = z.number().int().min(16).max(512).multipleOf(8);
const LearningRate = z.number().positive().max(1);

/**
 * Views of an image that are averaged: 1 the image itself, 2 also its mirror image, 4 its rotations by quarter turns, 8 the
 * rotations of both (all symmetries of the square).
 */
export const Views = z.literal([1, 2, 4, 8]).meta({ type: "integer", enum: [1, 2, 4, 8] });
export type Views = z.infer<typeof Views>;

/** The features of all views of a data set are one blob of at most this many bytes: 1.5 GiB. */
export const VIEWS_BYTES = 1.5 * 2 ** 30;

/** Bytes that the features of several views of one image take: two for each, as they are stored as float16. */
export const viewBytes = (backbone: Backbone, views: Views): number => 2 * views * featuresOf[backbone];

/** The largest number of views whose features have room for so many images; a single view always has. */
export const viewsThatFit = (backbone: Backbone, images: number): Views =>
  Views.def.values.findLast((views) => views === 1 || images * viewBytes(backbone, views) <= VIEWS_BYTES)!;

/** Which triplets of a batch count: see the trainer's losses. */
export const Mining = z.enum(["batch-hard", "semi-hard", "all"]);
export type Mining = z.infer<typeof Mining>;

/**
 * What a user may ask of a run (`POST /v1/runs`). Defaults are the paper's where it states them (section 4) and
 * Subtaxa's documented choice otherwise.
 */
export const RunRequest = z.strictObject({
  dataset: Name.describe("name of an imported dataset"),
  method: Method.default("clustering+triplet"),
  backbone: Backbone.default("small").describe(
    "small: for CPUs, 32 to 96 pixels; resnet50, efficientnet-b0: best on a GPU, or with `freeze: backbone`",
  ),
  weights: z.string().min(1).max(4096).default("random").describe(
    "what the network starts from: random, imagenet, or a file below one of SUBTAXA_DATA_ROOTS (Keras .h5, " +
      ".weights.h5, safetensors of torchvision or timm, TensorFlow.js model.json)",
  ),
  freeze: Freeze.default("none").describe(
    "what keeps its pretrained weights: the stages up to the one named, or the backbone; then its features are " +
      "computed once per image, and an epoch takes seconds on a CPU",
  ),
  imageSize: ImageSize.optional().describe(
    "side in pixels to which the padded square images are resized (64 for small, otherwise 224; the paper: 256)",
  ),
  epochs: z.number().int().min(1).max(10_000).default(100).describe(
    "upper limit; `patience` may end it earlier",
  ),
  folds: z.number().int().min(1).max(20).default(1)
    .describe("1: one stratified 70/10/20 split; k > 1: k-fold cross-validation"),
  seed: z.number().int().min(0).max(2 ** 31 - 1).default(0),
  batchSize: z.number().int().min(2).max(1024).default(128),
  learningRate: LearningRate.optional().describe(
    "Adam's (1e-3 for small and for a frozen backbone, otherwise the paper's 2e-4)",
  ),
  schedule: z.enum(["constant", "cosine"]).default("constant").describe(
    "of the learning rate; cosine falls to 0 over `epochs` (Loshchilov & Hutter 2017)",
  ),
  margin: z.number().positive().max(2).default(0.2).describe(
    "alpha of the triplet loss, L2-normalised embeddings",
  ),
  subclassMargin: z.number().min(0).max(1).default(0.5).describe(
    "gs-trs: the margin between sub-classes of one class, as a share of `margin`",
  ),
  headNoise: z.number().min(0).max(1).default(0.01).describe(
    "standard deviation of the noise on a new sub-class's row of the head, as a share of its parent row's root mean square",
  ),
  mining: Mining.default("batch-hard").describe("which triplets of a batch count"),
  sampling: z.enum(["shuffled", "grouped"]).default("shuffled").describe(
    "grouped: batches of `imagesPerClass` images from each of as many sub-classes as fit",
  ),
  imagesPerClass: z.number().int().min(2).max(64).default(2).describe("K of grouped batches"),
  augmentation: z.enum(["none", "flip-rotate"]).default("none"),
  views: Views.optional().describe(
    "views of each image whose features are averaged, everywhere but in training batches: 1 the image, 2 with its mirror " +
      "image, 4 its rotations, 8 all of these; takes as many times as long (8 with `freeze: backbone`, or as many as have " +
      "room, otherwise 1). With `freeze: backbone` training takes a random one of them for each image and step",
  ),
  sizeFeatures: z.boolean().default(true).describe(
    "give the embedding the size of each image too: the logarithms of its longer and shorter side and of their ratio, in µm where " +
      "the dataset's pixel size is known",
  ),
  confusionThreshold: z.number().min(0).max(1).default(0.3),
  maxClusters: z.number().int().min(1).max(32).default(5),
  minClusterSize: z.number().int().min(2).max(10_000).default(8),
  criterion: z.enum(["bic", "aic"]).default("bic"),
  dimension: z.enum(["effective", "nominal"]).default("effective")
    .describe(
      "dimension in the information criterion: participation ratio of the class, or that of the embedding",
    ),
  normalisation: z.enum(["l2", "none"]).default("l2").describe("of the embeddings before they are clustered"),
  fixedClusters: z.number().int().min(1).max(32).default(3).describe(
    "sub-classes of every class with the clusterer kmeans, which is the one of gs-trs",
  ),
  clusterer: ClustererName.optional().describe(
    "who divides the classes, and into how many (kmeans for gs-trs, otherwise xmeans); gs-trs with another one keeps its " +
      "losses, but not its fixed number of clusters; not used by standard and triplet, which divide nothing",
  ),
  parameters: z.record(z.string(), z.unknown()).default({}).describe(
    "settings of the clusterer's own, as its schema at /v1/clusterers says; those left out get the defaults there",
  ),
  patience: z.number().int().min(1).max(10_000).default(10)
    .describe(
      "epochs without an improvement of the validation macro F-score by `minImprovement` before the run ends",
    ),
  minImprovement: z.number().min(0).max(1).default(0.001),
});
export type RunRequest = z.infer<typeof RunRequest>;

/** What a request leaves open, settled by network and method (`specOf`). */
const settled = {
  imageSize: ImageSize,
  learningRate: LearningRate,
  clusterer: ClustererName,
  // events of before there were these settings do without them
  views: Views.default(1),
  sizeFeatures: z.boolean().default(false),
};

/** A request with nothing left open: the settings that a run was trained with. */
export const RunSettings = z.object({ ...RunRequest.shape, ...settled });
export type RunSettings = z.infer<typeof RunSettings>;

/** A run as the services see it: its settings, with dataset and weights pinned by their hashes. */
export const RunSpec = open(RunRequest.extend({
  ...settled,
  /** The network's first weights (`pretrained` artifact); null: random ones. */
  pretrained: BlobRef.nullable().default(null),
  /** The dataset's manifest as it was when the run was created (`Manifest`, JSON). */
  manifest: BlobRef,
  /** The original classes, in the manifest's order: index i of every per-class array. */
  classes: z.array(z.string()).min(2),
}));
export type RunSpec = z.infer<typeof RunSpec>;

/** The request, with what it leaves open filled by what fits the network and the method. */
export const specOf = (
  request: RunRequest,
  pinned: Pick<RunSpec, "manifest" | "classes"> & Partial<Pick<RunSpec, "pretrained">>,
): RunSpec => {
  const { backbone, freeze, method } = request;
  const light = backbone === "small" || freeze === "backbone";
  return {
    ...request,
    imageSize: request.imageSize ?? (backbone === "small" ? 64 : 224),
    learningRate: request.learningRate ?? (light ? 1e-3 : 2e-4),
    clusterer: request.clusterer ?? (method === "gs-trs" ? "kmeans" : "xmeans"),
    views: request.views ?? (freeze === "backbone" ? 8 : 1),
    pretrained: null,
    ...pinned,
  };
};

/**
 * Whether a fold's first step is to divide the classes: the fixed clusters of GS-TRS need no confusion matrix, but they do
 * need features, which a pretrained network has before its first epoch.
 */
export const startsWithClusters = ({ method, pretrained }: RunSpec): boolean =>
  method === "gs-trs" && pretrained !== null;

/** State of one class in Algorithm 1, and how many sub-classes it is divided into at present. */
export const ClassState = open(z.object({
  name: z.string(),
  allowedClusters: z.number().int().min(1),
  flag: z.union([z.literal(0), z.literal(1)]),
  clusters: z.number().int().min(1),
}));
export type ClassState = z.infer<typeof ClassState>;

/** What one fold of a run carries from event to event; whoever takes the next message needs nothing else. */
export const FoldState = open(z.object({
  /** Weights, batch statistics and head after the latest finished epoch; null before the first. */
  checkpoint: BlobRef.nullable(),
  /** The optimizer's moments and step counts at that checkpoint: what training goes on with, and nobody else reads. */
  optimizer: BlobRef.nullable().default(null),
  /** Pseudo-labels in force (`labels` artifact); null while every class is whole. */
  labels: BlobRef.nullable(),
  /**
   * What a frozen backbone makes of every image: a `views` artifact, or with one view a `features` artifact; null where the
   * backbone is trained.
   */
  frozen: BlobRef.nullable().default(null),
  classes: z.array(ClassState),
  /** The epoch with the best validation macro F-score so far. */
  best: open(z.object({
    epoch: z.number().int().min(1),
    fScore: z.number(),
    checkpoint: BlobRef,
    labels: BlobRef.nullable(),
  })).nullable(),
}));
export type FoldState = z.infer<typeof FoldState>;

/** The state of Algorithm 1 at its first line: one allowed cluster and flag 0 for each class. */
export const initialFoldState = (classes: readonly string[]): FoldState => ({
  checkpoint: null,
  optimizer: null,
  labels: null,
  frozen: null,
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
