import type { Failure } from "@subtaxa/contracts";
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
  /** A file of this program's own can't be written or read: disk full, no permission, too many open. */
  | { readonly _tag: "Storage"; readonly path: string }
  /** A worker thread of the import has ended, for want of memory say. */
  | { readonly _tag: "WorkerCrashed" }
  /** A shard's content is not what the manifest says. */
  | { readonly _tag: "ShardCorrupt"; readonly shard: number; readonly key: string }
  | { readonly _tag: "ManifestInvalid"; readonly source: string };

/** Whatever makes a whole dataset unusable; single files that can't be used are `Rejected`, not errors. */
export class DatasetError extends Data.TaggedError("DatasetError")<{
  readonly reason: DatasetReason;
  readonly message: string;
  readonly cause?: unknown;
}> implements Failure {
  get retryable(): boolean {
    return this.reason._tag === "Storage" || this.reason._tag === "WorkerCrashed";
  }
}
