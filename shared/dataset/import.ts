import type { BlobRef, Manifest } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { constants, deflate } from "node:zlib";
import { Assembly, type Outcome } from "./assembly.ts";
import { decode } from "./decode.ts";
import { DatasetError, detailOf } from "./error.ts";
import { greyOrRgb, toSquare } from "./pixels.ts";
import { Unusable } from "./unusable.ts";
import { type Candidate, findImages } from "./walk.ts";

export interface ImportOptions {
  /** Name of the dataset. */
  readonly name: string;
  /** The folder of class folders. */
  readonly path: string;
  /** Larger images are reduced to this side, pixels. */
  readonly maxSide: number;
  /** Classes with fewer usable images are left out. */
  readonly minClassImages: number;
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

/** Files read and decoded at the same time. */
const concurrency = Math.min(Math.max(navigator.hardwareConcurrency, 2), 4);

/** Larger files are rejected unread. */
const maxFileBytes = 512 * 2 ** 20;

/**
 * Imports a folder of class folders: decodes every image, pads it to a square with its border's median colour,
 * area-averages it to at most `maxSide`, and packs the pixels into deflated shards. Files and classes that can't be
 * used are listed in the manifest with reasons. The same folder gives the same manifest.
 */
export const importFolder = (options: ImportOptions): Effect.Effect<Imported, DatasetError> =>
  Effect.gen(function* () {
    const { name, path, maxSide, minClassImages, outputFolder, onProgress } = options;
    const { root, classes, candidates, rejected } = yield* findImages(path);
    const assembly = new Assembly(rejected);
    let done = 0;
    const add = (outcome: Outcome) => {
      const full = assembly.add(outcome);
      done += 1;
      onProgress?.({ done, total: candidates.length, rejected: assembly.rejected.length });
      return full;
    };
    const shards = yield* Stream.fromIterable(candidates).pipe(
      Stream.mapEffect((candidate) => prepare(root, candidate, maxSide), { concurrency }),
      Stream.map(add),
      Stream.concat(Stream.sync(() => assembly.finishShard())),
      Stream.filter((pixels) => pixels !== undefined),
      // The next shard fills while this one is deflated.
      Stream.mapEffect((pixels) => writeShard(outputFolder, pixels), { concurrency: 2 }),
      Stream.runCollect,
    );
    const manifest = assembly.manifest(name, classes, minClassImages, shards.map((shard) => shard.ref));
    if (manifest.classes.length < 2) {
      return yield* new DatasetError({
        reason: { _tag: "TooFewClasses", classes: manifest.classes },
        message:
          `${path} has ${manifest.classes.length === 0 ? "no class" : `only "${manifest.classes[0]}"`} ` +
          `with at least ${minClassImages} usable images, and two classes are needed`,
      });
    }
    return { manifest, shardFiles: shards.map((shard) => shard.path) };
  });

const prepare = (root: string, candidate: Candidate, maxSide: number): Effect.Effect<Outcome> =>
  Effect.promise(async () => {
    try {
      const bytes = await read(join(root, candidate.path));
      const hash = createHash("sha256").update(bytes).digest("base64");
      return { candidate, hash, image: toSquare(greyOrRgb(await decode(bytes)), maxSide) };
    } catch (cause) {
      if (cause instanceof Unusable) return { candidate, reason: cause.message };
      throw cause;
    }
  });

const read = async (path: string): Promise<Uint8Array> => {
  const unreadable = (cause: unknown) => {
    throw new Unusable(`can't be read: ${detailOf(cause)}`, { cause });
  };
  const { size } = await Deno.stat(path).catch(unreadable);
  if (size === 0) throw new Unusable("is empty");
  if (size > maxFileBytes) {
    throw new Unusable(`has ${size} bytes, more than the ${maxFileBytes / 2 ** 20} MiB that are read`);
  }
  return await Deno.readFile(path).catch(unreadable);
};

const deflateAsync = promisify(deflate);

/**
 * Deflates a shard into a file named by its content. Runs to its end once begun, so that after an interruption nothing
 * is still being written.
 */
const writeShard = (
  folder: string,
  pixels: Uint8Array,
): Effect.Effect<{ ref: BlobRef; path: string }, DatasetError> =>
  Effect.uninterruptible(Effect.tryPromise({
    try: async () => {
      // Runs catch padding and even backgrounds. Longer matches hardly occur in photographs: looking for them takes
      // more time and, at fast levels, more space.
      const bytes = await deflateAsync(pixels, { level: 1, strategy: constants.Z_RLE });
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const key = `sha256-${sha256}`;
      const path = join(folder, key);
      await Deno.writeFile(path, bytes);
      return { ref: { key, sha256, bytes: bytes.length }, path };
    },
    catch: (cause) =>
      new DatasetError({
        reason: { _tag: "Storage", path: folder },
        message: `could not write a shard into ${folder}: ${detailOf(cause)}`,
        cause,
      }),
  }));
