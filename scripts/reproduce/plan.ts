import { Method, RunRequest } from "@subtaxa/contracts";
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Target } from "../cli/mod.ts";

/** What all runs of a reproduction have in common: a run's request but for its method, with the defaults filled in. */
export const Settings = RunRequest.omit({ method: true });
export type Settings = z.infer<typeof Settings>;

/** How images are imported; what is undefined is left to what suits the runs. */
export interface ImportSettings {
  readonly maxSide: number | undefined;
  readonly minClassImages: number | undefined;
}

/** What the command line asks for. */
export interface Plan {
  /** Name of a dataset, or a folder of class folders. */
  readonly dataset: string;
  readonly methods: readonly Method[];
  /** Fields of every run's request, without dataset and method. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** How the images are to be imported, as far as it is said. */
  readonly imports: ImportSettings;
  /** How many trainers there are, or shall be started. */
  readonly trainers: number;
  /** A gateway that runs already; else an own one is started. */
  readonly target: Target | undefined;
  /** Where the results go; a folder below SUBTAXA_DATA when it isn't given. */
  readonly out: string | undefined;
  /** A known group is the part of a file's name before this. */
  readonly groups: string | undefined;
  /** Start runs anew that have failed. */
  readonly retry: boolean;
  /** Import the folder anew if it has changed, for new results. */
  readonly importAgain: boolean;
}

/**
 * A request's fields, with what the paper's networks start from and see (sections 3.3 and 4.1) where they don't say it. A
 * frozen backbone sees images of the side that its weights were made with.
 */
export const withPaperDefaults = (fields: Plan["fields"]): Plan["fields"] => {
  const { backbone, freeze } = fields;
  if (backbone !== "resnet50" && backbone !== "efficientnet-b0") return fields;
  return { weights: "imagenet", ...(freeze === "backbone" ? {} : { imageSize: 256 }), ...fields };
};

/** The paper's order (section 4.2). */
export const allMethods: readonly Method[] = Method.options;

const digestOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex");

/**
 * The Idempotency-Key of a method's run: the same settings and images give the same one, so that a repeated request starts
 * nothing twice. `importedAt` tells the images, `attempt` counts the runs that were given up.
 */
export const keyOf = (settings: Settings, importedAt: string, method: Method, attempt: number): string =>
  `reproduce-${digestOf([settings, importedAt, method, attempt])}`;

/** A folder name that tells data set and network, and differs for different settings. */
export const folderNameOf = (settings: Settings): string =>
  `${settings.dataset}-${settings.backbone}-${digestOf(settings).slice(0, 8)}`;

/** The request of a method's run. A clusterer that was chosen is meant for X-Means' place, not for that of GS-TRS. */
export const requestFor = (settings: Settings, method: Method): RunRequest => {
  const { clusterer, ...rest } = settings;
  return { ...rest, method, ...(clusterer === undefined || method === "gs-trs" ? {} : { clusterer }) };
};

/**
 * Runs to have under way at once: the folds of one run keep as many trainers busy as there are folds, so only further
 * trainers are a reason to start the next method.
 */
export const runsAtOnce = (trainers: number, folds: number): number => Math.ceil(trainers / folds);
