import type { Manifest } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { join } from "node:path";
import { Assembly, type Shard } from "./assembly.ts";
import { DatasetError } from "./error.ts";
import { detailOf } from "./unusable.ts";
import { type Candidate, findImages } from "./walk.ts";
import { startWorkers } from "./workers.ts";

export interface ImportOptions {
  /** Name of the dataset. */
  readonly name: string;
  /** The folder of class folders. */
  readonly path: string;
  /** Larger images are reduced to this side, pixels. */
  readonly maxSide: number;
  /** Classes with fewer usable images are left out. */
  readonly minClassImages: number;
  /** Threads that read images; default: one per core, 2 to 4. */
  readonly workers?: number;
  /** An existing folder of the caller's for the shards; what is in it after a failure or interruption is rubbish. */
  readonly outputFolder: string;
  /** Called after every image file, in order. */
  readonly onProgress?: (progress: { done: number; total: number; rejected: number }) => void;
}

export interface Imported {
  readonly manifest: Manifest;
  /** Path of each of the manifest's shards. */
  readonly shardFiles: readonly string[];
}

const defaultWorkers = Math.min(Math.max(navigator.hardwareConcurrency, 2), 4);

/** Files per request to a worker: what a message costs is shared by many, and what is under way stays small. */
const portion = 16;
const portionsOf = (candidates: readonly Candidate[]): readonly Candidate[][] =>
  Array.from(
    { length: Math.ceil(candidates.length / portion) },
    (_, i) => candidates.slice(i * portion, (i + 1) * portion),
  );

/**
 * Imports a folder of class folders: decodes every image, pads it to a square with its border's median colour,
 * area-averages it to at most `maxSide`, and packs the pixels into compressed shards. Files and classes that can't be
 * used are listed in the manifest with reasons. The same folder gives the same manifest.
 */
export const importFolder = (options: ImportOptions): Effect.Effect<Imported, DatasetError> =>
  Effect.gen(function* () {
    const { name, path, maxSide, minClassImages, workers = defaultWorkers, outputFolder, onProgress } =
      options;
    // first, because they get ready while the folders are walked
    const ask = yield* startWorkers(workers);
    const { root, classes, candidates, rejected } = yield* findImages(path);
    const assembly = new Assembly(rejected);
    let done = 0;
    const progress = () => {
      done += 1;
      onProgress?.({ done, total: candidates.length, rejected: assembly.rejected.length });
    };
    const shardFiles = yield* Stream.fromIterable(portionsOf(candidates)).pipe(
      // One more than there are workers, so that none waits for the main thread.
      Stream.mapEffect((candidates) => ask({ root, candidates, maxSide }), { concurrency: workers + 1 }),
      Stream.map((portion) => assembly.add(portion, progress)),
      Stream.concat(Stream.sync(() => assembly.finishShard())),
      Stream.filter((shard) => shard !== undefined),
      // The next shard fills while this one is written.
      Stream.mapEffect((shard) => writeShard(outputFolder, shard), { concurrency: 2 }),
      Stream.runCollect,
    );
    const manifest = assembly.manifest(name, classes, minClassImages);
    if (manifest.classes.length < 2) {
      return yield* new DatasetError({
        reason: { _tag: "TooFewClasses", classes: manifest.classes },
        message:
          `${path} has ${manifest.classes.length === 0 ? "no class" : `only "${manifest.classes[0]}"`} ` +
          `with at least ${minClassImages} usable images, and two classes are needed`,
      });
    }
    return { manifest, shardFiles };
  }).pipe(Effect.scoped);

/** Writes a shard into a file named by its content; its path. */
const writeShard = (folder: string, { parts, ref }: Shard): Effect.Effect<string, DatasetError> => {
  const path = join(folder, ref.key);
  const write = Effect.tryPromise({
    try: () => Deno.writeFile(path, ReadableStream.from(parts)),
    catch: (cause) =>
      new DatasetError({
        reason: { _tag: "Storage", path },
        message: `could not write the shard ${path}: ${detailOf(cause)}`,
        cause,
      }),
  });
  // Once begun it ends, so that after an interruption nothing is still being written.
  return Effect.as(Effect.uninterruptible(write), path);
};
