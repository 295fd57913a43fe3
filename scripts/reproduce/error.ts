import type { Failure } from "@subtaxa/contracts";
import { Data } from "effect";

export type ReproduceReason =
  /** The command line itself is wrong. */
  | { readonly _tag: "Usage" }
  | { readonly _tag: "NoDataset"; readonly dataset: string }
  | { readonly _tag: "ImportFailed"; readonly dataset: string }
  /** The dataset of that name came from another folder. */
  | { readonly _tag: "OtherFolder"; readonly dataset: string }
  /** The dataset was imported with other settings. */
  | { readonly _tag: "OtherImport"; readonly dataset: string }
  /** The folder has changed since it was imported, or the dataset was imported anew since the results were begun. */
  | { readonly _tag: "OtherImages"; readonly dataset: string }
  | { readonly _tag: "FolderUnreadable"; readonly folder: string }
  | { readonly _tag: "NoWeights"; readonly file: string }
  /** The output folder belongs to a reproduction with other settings. */
  | { readonly _tag: "OtherSettings"; readonly folder: string }
  | { readonly _tag: "LedgerUnreadable"; readonly file: string }
  | { readonly _tag: "NotWritable"; readonly path: string }
  | { readonly _tag: "NoGroups"; readonly separator: string }
  /** The gateway refused every run, or none has completed. */
  | { readonly _tag: "NothingCompleted" };

/** Why the paper's experiment could not be repeated; the message says what to do. */
export class ReproduceError extends Data.TaggedError("ReproduceError")<{
  readonly reason: ReproduceReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}
