import { Blobs, type BusError } from "@subtaxa/bus";
import { type BlobRef, Manifest } from "@subtaxa/contracts";
import { Effect, type Scope } from "effect";
import { z } from "zod";
import { DatasetError } from "./error.ts";

/** Where a dataset's parts lie on this machine; a worker thread opens them. */
export interface DatasetFiles {
  readonly manifestFile: string;
  /** In the order of `manifest.shards`. */
  readonly shardFiles: readonly string[];
  /** Where the resized images are kept for the next time. */
  readonly cacheFolder: string;
}

/** Reads a manifest from the blob store. */
export const readManifest = (ref: BlobRef): Effect.Effect<Manifest, BusError | DatasetError, Blobs> =>
  Effect.gen(function* () {
    const bytes = yield* (yield* Blobs).get(ref);
    return yield* parseManifest(bytes, ref.key);
  });

const outdated = z.object({ v: z.literal(1), name: z.string() });

/** Parses a manifest's bytes; `source` names them in the error. */
export const parseManifest = (bytes: Uint8Array, source: string): Effect.Effect<Manifest, DatasetError> =>
  Effect.suspend(() => {
    let content: unknown;
    try {
      content = JSON.parse(new TextDecoder().decode(bytes));
    } catch (cause) {
      return invalid(source, cause);
    }
    const manifest = Manifest.safeParse(content);
    if (manifest.success) return Effect.succeed(manifest.data);
    const old = outdated.safeParse(content);
    return old.success ? tooOld(old.data.name, source) : invalid(source, manifest.error);
  });

const invalid = (source: string, cause: unknown) =>
  Effect.fail(
    new DatasetError({
      reason: { _tag: "ManifestInvalid", source },
      message: `${source} is no dataset manifest of this version: import the dataset again`,
      cause,
    }),
  );

const tooOld = (name: string, source: string) =>
  Effect.fail(
    new DatasetError({
      reason: { _tag: "ManifestOutdated", source },
      message:
        `dataset ${name} was imported by an earlier version, which stored no checksums of the pixels, so that they ` +
        "can't be verified: import it again",
    }),
  );

/** The shards of the latest manifest: every message asks for them, and a large manifest takes its time to read. */
let latest: { readonly sha256: string; readonly shards: Manifest["shards"] } | undefined;

const shardsOf = (ref: BlobRef) =>
  latest?.sha256 === ref.sha256
    ? Effect.succeed(latest.shards)
    : Effect.map(readManifest(ref), ({ shards }) => (latest = { sha256: ref.sha256, shards }).shards);

/** Brings a dataset's manifest and shards into the local cache, where they stay until the scope ends. */
export const datasetFiles = (
  ref: BlobRef,
): Effect.Effect<DatasetFiles, BusError | DatasetError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    const shards = yield* shardsOf(ref);
    return {
      manifestFile: yield* blobs.file(ref),
      shardFiles: yield* Effect.forEach(shards, blobs.file, { concurrency: 4 }),
      cacheFolder: blobs.cacheFolder,
    };
  });
