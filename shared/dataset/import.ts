import { type LabelConflictPolicy, type Manifest, reasonGroups } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { join } from "node:path";
import { Assembly, conflictSentence, reportOf, type Shard } from "./assembly.ts";
import { depthOf, type DepthStatistics, mergeStatistics, noStatistics } from "./depth.ts";
import { DatasetError } from "./error.ts";
import { detailOf } from "./unusable.ts";
import { type Candidate, findImages, type Found } from "./walk.ts";
import { listed, partsOf, splitAdvice } from "./warnings.ts";
import { type Ask, startWorkers } from "./workers.ts";

export interface ImportOptions {
  /** Name of the dataset. */
  readonly name: string;
  /** The folder of class folders. */
  readonly path: string;
  /** Whether a symbolic link may lead to this real path. Default: only below `path`. */
  readonly isAllowed?: (realPath: string) => boolean;
  /** Larger images are reduced to this side, pixels. */
  readonly maxSide: number;
  /** Classes with fewer usable images are left out. */
  readonly minClassImages: number;
  /** Bits of the camera of the 16-bit images, and the value of black in them. Default: what all of them together say. */
  readonly bitDepth?: number | undefined;
  readonly offset?: number | undefined;
  /** µm that a pixel is wide and high. */
  readonly pixelSize?: number | undefined;
  /** What to do with pictures that lie in several classes. Default: keep. */
  readonly onLabelConflict?: LabelConflictPolicy;
  /** Threads that read images; default: one per core, 2 to 4. */
  readonly workers?: number;
  /** An existing folder of the caller's for the shards; what is in it after a failure or interruption is rubbish. */
  readonly outputFolder: string;
  /** Called after every image file, in order. A 16-bit image counts twice, as it is read twice: first for the depth of them all. */
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
/** The same where most files are only opened. */
const depthPortion = 64;
const portionsOf = (candidates: readonly Candidate[], size: number): readonly Candidate[][] =>
  Array.from(
    { length: Math.ceil(candidates.length / size) },
    (_, i) => candidates.slice(i * size, (i + 1) * size),
  );

/**
 * Imports a folder of class folders: decodes every image, pads it to a square with its border's median colour, reduces it to at
 * most `maxSide`, and packs the pixels into compressed shards. Files and classes that can't be used are listed in the manifest
 * with reasons; when the import fails, they are in the error's report. The same folder gives the same manifest.
 */
export const importFolder = (options: ImportOptions): Effect.Effect<Imported, DatasetError> =>
  Effect.gen(function* () {
    const { name, maxSide, minClassImages, workers = defaultWorkers, outputFolder, onProgress } = options;
    const { onLabelConflict = "keep", pixelSize = null } = options;
    // First, because they get ready while the folders are walked.
    const ask = yield* startWorkers(workers);
    const found = yield* findImages(options.path, options.isAllowed);
    const { root, candidates } = found;
    const seen = yield* depthsOf(ask, found, options);
    const depth = depthOf(seen, options);
    const isDepthGiven = options.bitDepth !== undefined || options.offset !== undefined;
    const assembly = new Assembly({ found, depth, seen, isDepthGiven });
    const total = seen.images + candidates.length;
    let done = seen.images;
    const progress = () => {
      done += 1;
      onProgress?.({ done, total, rejected: assembly.rejected });
    };
    const shardFiles = yield* Stream.fromIterable(portionsOf(candidates, portion)).pipe(
      // One more than there are workers, so that none waits for the main thread.
      Stream.mapEffect((candidates) => ask({ type: "read", root, candidates, maxSide, depth }), {
        concurrency: workers + 1,
      }),
      Stream.mapEffect((portion) => added(assembly, portion, progress)),
      Stream.concat(Stream.sync(() => assembly.finishShard())),
      Stream.filter((shard) => shard !== undefined),
      // The next shard fills while this one is written.
      Stream.mapEffect((shard) => writeShard(outputFolder, shard), { concurrency: 2 }),
      Stream.runCollect,
    );
    const manifest = assembly.manifest({ name, minClassImages, onLabelConflict, pixelSize });
    if (manifest.classes.length < 2) return yield* tooFewClasses(options, found, manifest);
    if (onLabelConflict === "ask" && manifest.labelConflicts.length > 0) return yield* conflicts(manifest);
    return { manifest, shardFiles };
  }).pipe(Effect.scoped);

/**
 * What the 16-bit images of the folder look like, without classes that have too few files to be kept; nothing where the caller
 * says all that follows from it.
 */
const depthsOf = (
  ask: Ask,
  { root, candidates, rejected }: Found,
  { bitDepth, offset, minClassImages, workers = defaultWorkers, onProgress }: ImportOptions,
): Effect.Effect<DepthStatistics, DatasetError> => {
  if (bitDepth !== undefined && offset !== undefined) return Effect.succeed(noStatistics);
  const byClass = Map.groupBy(candidates, (candidate) => candidate.class);
  const large = candidates.filter((candidate) => byClass.get(candidate.class)!.length >= minClassImages);
  return Stream.fromIterable(portionsOf(large, depthPortion)).pipe(
    Stream.mapEffect((candidates) => ask({ type: "depth", root, candidates }), {
      concurrency: workers + 1,
    }),
    Stream.runFold(() => noStatistics, (seen, next) => {
      const all = mergeStatistics(seen, next);
      const total = all.images + candidates.length;
      if (next.images > 0) onProgress?.({ done: all.images, total, rejected: rejected.length });
      return all;
    }),
  );
};

const added = (
  assembly: Assembly,
  portion: Parameters<Assembly["add"]>[0],
  progress: () => void,
): Effect.Effect<Shard | undefined, DatasetError> =>
  Effect.suspend(() => {
    const shard = assembly.add(portion, progress);
    return shard instanceof DatasetError ? Effect.fail(shard) : Effect.succeed(shard);
  });

/** The folder in which all files lie, and the several folders that it holds: an archive's own; undefined without one. */
const outerFolder = (candidates: readonly Candidate[]) => {
  const folders = candidates.map(({ path }) => path.split("/").slice(0, -1));
  const outer: string[] = [];
  for (;;) {
    // Beside the folders there may be files of the archive's own, like its README.
    const holds = [...new Set(folders.flatMap((folder) => folder[outer.length] ?? []))].sort();
    if (holds.length !== 1) {
      return outer.length > 0 && holds.length > 1 ? { path: outer.join("/"), holds } : undefined;
    }
    outer.push(holds[0]!);
  }
};

const tooFewClasses = (
  { path, minClassImages }: ImportOptions,
  { candidates }: Found,
  manifest: Manifest,
): Effect.Effect<never, DatasetError> => {
  const kept = manifest.classes;
  const outer = outerFolder(candidates);
  const [commonest] = reasonGroups(manifest.rejected.filter(({ file }) => !file.endsWith("/")));
  const advice = outer && partsOf(outer.holds).length > 1
    ? `; ${splitAdvice(outer.holds, outer.path)}`
    : outer
    ? `; all its files lie in ${outer.path}, which holds the folders ${
      listed(outer.holds)
    }: import ${path}/${outer.path} if ` +
      "these are the classes"
    : commonest
    ? `; ${commonest.files.length} files can't be used because of this: ${commonest.files[0]!.reason}`
    : "";
  return Effect.fail(
    new DatasetError({
      reason: { _tag: "TooFewClasses", classes: kept },
      message:
        `${path} has ${
          kept.length === 0 ? "no class" : `only "${kept[0]}"`
        } with at least ${minClassImages} ` +
        `usable images, and two classes are needed${advice}`,
      report: reportOf(manifest),
    }),
  );
};

const conflicts = (manifest: Manifest): Effect.Effect<never, DatasetError> =>
  Effect.fail(
    new DatasetError({
      reason: { _tag: "LabelConflicts", pictures: manifest.labelConflicts.length },
      message:
        `${
          conflictSentence(manifest.labelConflicts)
        }: correct their labels, or import with the policy 'keep' or 'drop' ` +
        "for label conflicts",
      report: reportOf(manifest),
    }),
  );

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
