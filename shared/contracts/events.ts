import { z } from "zod";
import { BlobRef } from "./blob.ts";
import { LabelConflictPolicy } from "./dataset.ts";
import { Division } from "./division.ts";
import type { RunProgress } from "./progress.ts";
import {
  ClustererVersion,
  FoldState,
  Metrics,
  Name,
  RunSpec,
  startsWithClusters,
  usesClustering,
} from "./run.ts";

/** Version of every event's schema; a message with another version is a dead letter. */
export const CONTRACT_VERSION = 1;

const head = { v: z.literal(CONTRACT_VERSION), at: z.iso.datetime() };
const inFold = {
  ...head,
  runId: Name,
  fold: z.number().int().min(0),
  /** The epoch that this fact belongs to, from 1; 0 before the first. */
  epoch: z.number().int().min(0),
  spec: RunSpec,
  state: FoldState,
};
const ofRun = { ...head, runId: Name };
const ofDataset = { ...head, dataset: Name };
const ErrorInfo = z.object({ tag: z.string(), message: z.string() });

/** A fold of a run shall be trained; one event per fold. */
export const RunRequested = z.object({ type: z.literal("run.requested"), ...inFold });

/** What the frozen backbone makes of every image is known: `state.frozen`. Only with `freeze: "backbone"`. */
export const BackboneExtracted = z.object({ type: z.literal("backbone.extracted"), ...inFold });

/** One epoch was trained: Algorithm 1, "Train the encoder network". Means are over the epoch's images. */
export const EpochTrained = z.object({
  type: z.literal("epoch.trained"),
  ...inFold,
  training: z.object({
    loss: z.number(),
    crossEntropy: z.number(),
    /** Absent for methods without triplet loss, as are the other three. */
    triplet: z.number().optional(),
    /** Share of the mined triplets with a positive loss (batch-hard: one per anchor; gs-trs: of the class level). */
    activeTriplets: z.number().optional(),
    /** Mean Euclidean distances anchor–positive and anchor–negative of the mined triplets. */
    positiveDistance: z.number().optional(),
    negativeDistance: z.number().optional(),
    images: z.number().int(),
    seconds: z.number(),
    /** Rows of the head, that is sub-classes trained on. */
    subclasses: z.number().int(),
  }),
});

/** Algorithm 1, "Perform validation and get the normalised confusion matrix". */
export const EpochValidated = z.object({
  type: z.literal("epoch.validated"),
  ...inFold,
  /** Mean cross-entropy over the original classes on the validation images. */
  loss: z.number(),
  metrics: Metrics,
  /** Image counts, row = true class, column = predicted; divided by its row sum it is the normalised matrix. */
  confusion: z.array(z.array(z.number().int().min(0))),
  /** Per class: 1 − diagonal of the row-normalised confusion matrix. */
  falseNegatives: z.array(z.number().min(0).max(1)),
  /** Why training ends after this epoch; null: it goes on. */
  converged: z.enum(["patience", "epochs"]).nullable(),
});

/** Algorithm 1's adaptation of num-allowed-clusters: `state.classes` holds the new values. */
export const AdaptationPlanned = z.object({
  type: z.literal("adaptation.planned"),
  ...inFold,
  /** Names of the classes whose training images need embeddings: those that may have more than one cluster. */
  classes: z.array(z.string()),
});

/** Embeddings of the training images of the planned classes (`features` artifact). */
export const FeaturesExtracted = z.object({
  type: z.literal("features.extracted"),
  ...inFold,
  features: BlobRef,
  /** All training images of the fold with their classes (`images` artifact): those that get a pseudo-label. */
  images: BlobRef,
});

/** Algorithm 1, "Generate the clusters and pseudo-labels": `state.labels` is the new table. */
export const DatasetRelabelled = z.object({
  type: z.literal("dataset.relabelled"),
  ...inFold,
  /** Classes whose number of clusters changed. */
  changes: z.array(z.object({ class: z.string(), from: z.number().int(), to: z.number().int() })),
  /** Normalised mutual information between the previous sub-class assignment and this one; 1 = nothing moved. */
  agreement: z.number(),
  /** Who did it; absent where the clusterer does not say. */
  clusterer: ClustererVersion.optional(),
});

/** The best checkpoint of a fold scored on its held-out images. */
export const FoldCompleted = z.object({
  type: z.literal("fold.completed"),
  ...inFold,
  metrics: Metrics,
  confusion: z.array(z.array(z.number().int().min(0))),
  /** `predictions` artifact over the held-out images. */
  predictions: BlobRef,
});

/** The facts whose work is spread over instances: the newest of their fold until it is put together. */
export const Spread = z.enum(["run.requested", "adaptation.planned", "epoch.trained", "epoch.validated"]);

/**
 * A shard of a fact's work was laid out, or is one portion further. Its facts are a chain of their own beside the fold's,
 * and of no interest once the fact that they belong to is no longer the newest of its fold.
 */
export const ShardAdvanced = z.object({
  type: z.literal("shard.advanced"),
  ...head,
  runId: Name,
  fold: z.number().int().min(0),
  epoch: z.number().int().min(0),
  /** The type of the fact that it belongs to, which has the same fold and epoch and says what is to be done. */
  of: Spread,
  /** Number of the shard. */
  shard: z.number().int().min(0),
  /** How the work is divided: see `divide`. */
  division: Division,
  /** The tables of the portions done so far, in order. */
  portions: z.array(BlobRef),
  /** Which instance did the latest portion; absent before the first. */
  by: z.string().optional(),
});

export const RunCompleted = z.object({
  type: z.literal("run.completed"),
  ...ofRun,
  /** Mean over the folds. */
  metrics: Metrics,
  /** Self-contained HTML. */
  report: BlobRef,
});
export const RunFailed = z.object({ type: z.literal("run.failed"), ...ofRun, error: ErrorInfo });
export const RunCancelled = z.object({ type: z.literal("run.cancelled"), ...ofRun });

export const DatasetRequested = z.object({
  type: z.literal("dataset.requested"),
  ...ofDataset,
  /** Absolute path of the folder of class folders, on the importing machine. */
  path: z.string(),
  /** Largest side in pixels that is kept. */
  maxSide: z.number().int(),
  /** A class with fewer readable images is left out. */
  minClassImages: z.number().int(),
  /** Of 16-bit images; null where the import finds it out. */
  bitDepth: z.number().int().nullable().default(null),
  offset: z.number().int().nullable().default(null),
  /** µm; null where it isn't known. */
  pixelSize: z.number().nullable().default(null),
  onLabelConflict: LabelConflictPolicy.default("keep"),
});
export const DatasetImported = z.object({
  type: z.literal("dataset.imported"),
  ...ofDataset,
  manifest: BlobRef,
  images: z.number().int(),
  classes: z.number().int(),
  rejected: z.number().int(),
});
export const DatasetFailed = z.object({
  type: z.literal("dataset.failed"),
  ...ofDataset,
  error: ErrorInfo,
  /** What was found before it failed (`ImportReport`, JSON); null where nothing was. */
  report: BlobRef.nullable().default(null),
});

/** Every fact of Subtaxa. */
export const Event = z.discriminatedUnion("type", [
  RunRequested,
  BackboneExtracted,
  EpochTrained,
  EpochValidated,
  AdaptationPlanned,
  FeaturesExtracted,
  DatasetRelabelled,
  FoldCompleted,
  ShardAdvanced,
  RunCompleted,
  RunFailed,
  RunCancelled,
  DatasetRequested,
  DatasetImported,
  DatasetFailed,
]);
export type Event = z.infer<typeof Event>;
export type EventType = Event["type"];
export type EventOf<T extends EventType> = Extract<Event, { type: T }>;
/** A fact of a fold's own chain. */
export type FoldEvent = Extract<Event, { state: FoldState }>;
export type ShardEvent = EventOf<"shard.advanced">;
export type TerminalEvent = EventOf<"run.completed" | "run.failed" | "run.cancelled">;

export const isFoldEvent = (event: Event): event is FoldEvent => "state" in event;
export const isShardEvent = (event: Event): event is ShardEvent => event.type === "shard.advanced";
/** Whether a shard is one of this fact's work. */
export const isShardOf = ({ runId, fold, epoch, of }: ShardEvent, fact: Event): fact is FoldEvent =>
  isFoldEvent(fact) && fact.runId === runId && fact.fold === fold && fact.epoch === epoch && fact.type === of;
export const isTerminal = (event: Event): event is TerminalEvent =>
  event.type === "run.completed" || event.type === "run.failed" || event.type === "run.cancelled";

/** The next fact of the same fold: carries identity, spec and state over from the one that caused it. */
export const following = (cause: FoldEvent) => ({
  v: CONTRACT_VERSION as typeof CONTRACT_VERSION,
  runId: cause.runId,
  fold: cause.fold,
  epoch: cause.epoch,
  spec: cause.spec,
  state: cause.state,
});

/** The step that a spread fact begins. */
export const stepOf = {
  "run.requested": "backbone",
  "adaptation.planned": "extract",
  "epoch.trained": "validate",
  "epoch.validated": "score",
} as const satisfies Record<z.infer<typeof Spread>, RunProgress["step"]>;

/** The route of an event: who acts on it next. This is what makes a service swappable by configuration. */
export const routeOf = (event: Event): string => {
  switch (event.type) {
    case "run.requested":
      if (event.spec.freeze === "backbone") return "extract";
      return startsWithClusters(event.spec) ? event.spec.clusterer : "train";
    case "backbone.extracted":
      return startsWithClusters(event.spec) ? event.spec.clusterer : "train";
    case "dataset.relabelled":
      return "train";
    case "epoch.trained":
      return "validate";
    case "epoch.validated":
      if (event.converged) return "score";
      return usesClustering(event.spec.method) ? event.spec.clusterer : "train";
    case "adaptation.planned":
      return "extract";
    case "features.extracted":
      return event.spec.clusterer;
    case "fold.completed":
      return "join";
    case "shard.advanced":
      return event.of === "run.requested" ? "extract" : stepOf[event.of];
    case "dataset.requested":
      return "import";
    default:
      return "end";
  }
};

const subjectId = (event: Event) => ("dataset" in event ? event.dataset : event.runId);

/** The last token of a subject: the chain within its run that an event belongs to. */
const chainToken = (event: Event): string => {
  if (isShardEvent(event)) return `${event.fold}-${event.shard}`;
  return isFoldEvent(event) ? String(event.fold) : "all";
};

/** `subtaxa.<event>.<route>.<run or dataset>.<fold, fold-shard or all>` */
export const subjectOf = (event: Event): string =>
  `subtaxa.${event.type}.${routeOf(event)}.${subjectId(event)}.${chainToken(event)}`;

/**
 * The message id by which the server drops a repeated publish: derived from run, fold, epoch and type, and of a
 * shard also from how far it is. The three ends of a run share one, so that a run ends once.
 */
export const messageId = (event: Event): string => {
  if (isTerminal(event)) return `${event.runId}:end`;
  if (isFoldEvent(event)) return `${event.runId}:${event.fold}:${event.epoch}:${event.type}`;
  if (isShardEvent(event)) {
    const { runId, epoch, type, of, portions } = event;
    return `${runId}:${chainToken(event)}:${epoch}:${type}:${of}:${portions.length}`;
  }
  return `${subjectId(event)}:${event.type}:${event.at}`;
};

/** Subject filters. A token left out matches everything. */
export const subjects = {
  all: "subtaxa.*.*.*.*.*",
  of: (type: EventType, route = "*", id = "*"): string => `subtaxa.${type}.${route}.${id}.*`,
  run: (runId: string): string => `subtaxa.*.*.*.${runId}.*`,
  fold: (runId: string, fold: number): string => `subtaxa.*.*.*.${runId}.${fold}`,
  shard: (runId: string, fold: number, shard: number): string => `subtaxa.*.*.*.${runId}.${fold}-${shard}`,
  /** All facts of the chain of this event, of which only the newest is acted on. */
  chain: (event: FoldEvent | ShardEvent): string => `subtaxa.*.*.*.${event.runId}.${chainToken(event)}`,
  datasets: "subtaxa.dataset.*.*.*.*",
  end: (runId: string): string => `subtaxa.run.*.end.${runId}.all`,
};
