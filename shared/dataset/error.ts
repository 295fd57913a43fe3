import type { Failure, ImportReport } from "@subtaxa/contracts";
import { Data } from "effect";

export type DatasetReason =
  /** There is nothing at the path to import. */
  | { readonly _tag: "Missing"; readonly path: string }
  | { readonly _tag: "NotAFolder"; readonly path: string }
  /** The folder to import may not be read. */
  | { readonly _tag: "Unreadable"; readonly path: string }
  | { readonly _tag: "NoClassFolders"; readonly path: string }
  /** `classes` are those that could be used: one or none. */
  | { readonly _tag: "TooFewClasses"; readonly classes: readonly string[] }
  /** Pictures lie in several classes, and the import was to ask what to do with them. */
  | { readonly _tag: "LabelConflicts"; readonly pictures: number }
  /** A file of this program's own can't be used: disk full, no permission, too many open, damaged. */
  | { readonly _tag: "Storage"; readonly path: string }
  /** A worker thread of the import has ended, for example out of memory. */
  | { readonly _tag: "WorkerCrashed" }
  /** What a worker thread stored is not what it says it stored. */
  | { readonly _tag: "PixelsMiscounted" }
  /** A shard's content has the right hash, but is not what the manifest says. */
  | { readonly _tag: "ShardCorrupt"; readonly shard: number; readonly key: string }
  | { readonly _tag: "ManifestInvalid"; readonly source: string }
  /** A manifest of version 1: it has no checksums, so that pixels may be read from the wrong place. */
  | { readonly _tag: "ManifestOutdated"; readonly source: string };

/** Whatever makes a whole dataset unusable; single files that can't be used are `Rejected`, not errors. */
export class DatasetError extends Data.TaggedError("DatasetError")<{
  readonly reason: DatasetReason;
  readonly message: string;
  readonly cause?: unknown;
  /** What an import found before it failed. */
  readonly report?: ImportReport;
}> implements Failure {
  get retryable(): boolean {
    return this.reason._tag === "Storage" || this.reason._tag === "WorkerCrashed";
  }
}
