import { type ObjectResult, Objm, setSha256Backend, StorageType } from "@nats-io/obj";
import type { BlobRef } from "@subtaxa/contracts";
import { Config, Context, Effect, Layer, Metric, type Scope } from "effect";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readdir, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { pipeline } from "node:stream/promises";
import { fileCache, onDisk, readIntact, scratchFileIn, stateOf } from "./cache.ts";
import { Connection } from "./connection.ts";
import { attempt, BusError } from "./error.ts";

export const BUCKET = "subtaxa-blobs";

/** Bytes of a message of the object store: each is waited for, so few large ones; just below the server's default limit. */
const chunkBytes = 1000 * 1024;
setSha256Backend("native"); // the client's default is JavaScript

const sentBytes = Metric.counter("subtaxa_blob_sent_bytes_total", {
  description: "Bytes put into the object store",
  incremental: true,
  attributes: { unit: "bytes" },
});
const receivedBytes = Metric.counter("subtaxa_blob_received_bytes_total", {
  description: "Bytes fetched from the object store; what the local cache holds is not fetched",
  incremental: true,
  attributes: { unit: "bytes" },
});

/** SHA-256 of a file, read as a stream. */
const hashOfFile = async (path: string): Promise<{ sha256: string; bytes: number }> => {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), bytes };
};

/** Files that a killed process left unfinished. Neighbours share the folder, so only what is a day old goes. */
const removeAbandoned = async (folder: string) => {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity })); // Infinity: a neighbour was quicker
    if (Date.now() - mtimeMs > 24 * 3_600_000) await rm(path, { recursive: true, force: true });
  }
};

/**
 * Writes an object of the store to a file. The client reads ahead, and rejects `error` also when its reader has gone: then
 * nobody waits for it, but somebody must listen, or it ends the process.
 */
export const saveObject = async (
  { data, error }: Pick<ObjectResult, "data" | "error">,
  path: string,
  signal: AbortSignal,
): Promise<void> => {
  const failed = error.catch((cause: Error) => cause);
  if (signal.aborted) { // the file would be made after it was cleared away
    await data.cancel();
    signal.throwIfAborted();
  }
  const web = data as unknown as NodeReadableStream<Uint8Array>;
  await pipeline(Readable.fromWeb(web), createWriteStream(path), { signal });
  const cause = await failed;
  if (cause) throw cause;
};

/**
 * Content-addressed blobs in the NATS Object Store, behind a local cache of files named by hash. What is put goes to
 * the cache first, so that services on one machine never download what a neighbour made. A cached or downloaded
 * file is hashed once per process before it is believed, and again when its times, size or inode are others;
 * a damaged one is fetched again.
 */
export class Blobs extends Context.Service<Blobs, {
  /**
   * Whatever is to be removed one day needs an `owner` (a step of a run): equal content of another owner is another blob, so
   * removing one never takes the other away. Without owner, equal content is one blob for all.
   */
  put(bytes: Uint8Array, owner?: string): Effect.Effect<BlobRef, BusError>;
  /** The file is moved into the cache. `sha256`: its hash, where that is known already. */
  putFile(path: string, owner?: string, sha256?: string): Effect.Effect<BlobRef, BusError>;
  /**
   * Path of the blob's bytes in the local cache, fetched if they are not there. The file is read-only by convention, and stays
   * until the scope ends; then it may go any time.
   */
  file(ref: BlobRef): Effect.Effect<string, BusError, Scope.Scope>;
  /** All blobs in the store that have an owner, with it. */
  readonly owned: Effect.Effect<readonly (BlobRef & { readonly owner: string })[], BusError>;
  get(ref: BlobRef): Effect.Effect<Uint8Array<ArrayBuffer>, BusError>;
  /**
   * Removes the blob from the store and from this machine's cache; one that isn't there is fine. The caches of other machines
   * evict it some day.
   */
  remove(ref: BlobRef): Effect.Effect<void, BusError>;
  /** The folder of the local cache. Other files that can be made anew may lie in it too: they are evicted like blobs. */
  readonly cacheFolder: string;
}>()("subtaxa/bus/Blobs") {
  /** Reads `SUBTAXA_DATA` (the cache lies below it) and `SUBTAXA_CACHE_LIMIT` (in GiB). */
  static readonly layer = Layer.effect(
    Blobs,
    Effect.gen(function* () {
      const { nc, keep } = yield* Connection;
      const { data, limit } = yield* Config.all({
        data: Config.String("SUBTAXA_DATA").pipe(Config.withDefault(".subtaxa")),
        limit: Config.Finite("SUBTAXA_CACHE_LIMIT").pipe(Config.withDefault(10)),
      });
      const cacheFolder = resolve(data, "cache");
      const cache = fileCache(cacheFolder, limit * 2 ** 30);
      const store = yield* keep({
        what: "the object store",
        stream: `OBJ_${BUCKET}`,
        make: (replicas) => new Objm(nc).create(BUCKET, { storage: StorageType.File, replicas }),
      });
      /** Of each file, by the key of its blob, the state in which its hash was found to be right. */
      const verified = new Map<string, string>();
      yield* Metric.update(sentBytes, 0); // both are shown from the start, so that rates are right
      yield* Metric.update(receivedBytes, 0);
      yield* Effect.promise(() => removeAbandoned(join(cacheFolder, "incoming")));
      yield* cache.evict;

      const keyOf = (sha256: string, owner?: string) => `${owner ? `${owner}.` : ""}sha256-${sha256}`;
      /** Keys come from messages: nothing in them may lead out of the folder. */
      const pathOf = ({ key, sha256 }: BlobRef) =>
        join(cacheFolder, sha256.slice(0, 2), key.replaceAll(/[^\w.-]/g, "_"));

      /** The path of an intact file in the cache, held for the scope. */
      const cached = (ref: BlobRef) =>
        Effect.gen(function* () {
          const path = pathOf(ref);
          const file = yield* cache.hold(path);
          if (file === null) return null;
          // first the state, then the hash: a change during the reading makes the next look hash it again
          const state = stateOf(yield* onDisk(path, () => file.stat()));
          if (verified.get(ref.key) === state) return path;
          verified.delete(ref.key);
          if ((yield* onDisk(path, () => hashOfFile(path))).sha256 !== ref.sha256) {
            yield* Effect.logWarning(`${path} is damaged: it is fetched again`);
            yield* cache.discard(path, file);
            return null;
          }
          verified.set(ref.key, state);
          return path;
        });

      /**
       * Moves a file, whose hash is known, into the cache, held for the scope. One that is there already is
       * hashed, whatever is known of it: who stores the content again may do so because it is damaged.
       */
      const settle = (from: string, ref: BlobRef) =>
        Effect.gen(function* () {
          const path = pathOf(ref);
          verified.delete(ref.key);
          if ((yield* cached(ref)) === null) {
            const placed = yield* cache.place(from, path);
            if (placed) verified.set(ref.key, stateOf(yield* onDisk(path, () => placed.stat())));
          }
          yield* onDisk(from, () => rm(from, { force: true }));
          return path;
        });

      const upload = (ref: BlobRef) =>
        attempt(`store the blob ${ref.key}`, async () => {
          const known = await store.info(ref.key);
          if (known && !known.deleted && known.size === ref.bytes) return 0;
          const stream = Readable.toWeb(createReadStream(pathOf(ref), { highWaterMark: chunkBytes }));
          await store.put(
            { name: ref.key, options: { max_chunk_size: chunkBytes } },
            stream as ReadableStream<Uint8Array>,
            { timeout: 60_000 },
          );
          return ref.bytes;
        }).pipe(Effect.flatMap((bytes) => Metric.update(sentBytes, bytes)));

      const putFile = Effect.fn("blobs.putFile")(function* (path: string, owner?: string, known?: string) {
        const { sha256, bytes } = yield* onDisk(
          path,
          async () => known ? { sha256: known, bytes: (await stat(path)).size } : await hashOfFile(path),
        );
        const ref: BlobRef = { key: keyOf(sha256, owner), sha256, bytes };
        yield* Effect.annotateCurrentSpan({ "subtaxa.blob": ref.key, "subtaxa.bytes": bytes });
        yield* settle(path, ref);
        yield* upload(ref);
        return ref;
      }, Effect.scoped);

      const put = Effect.fn("blobs.put")(function* (bytes: Uint8Array, owner?: string) {
        const path = yield* scratchFileIn(cacheFolder);
        yield* onDisk(path, (signal) => writeFile(path, bytes, { signal }));
        return yield* putFile(path, owner);
      }, Effect.scoped);

      const download = (ref: BlobRef, path: string) =>
        attempt(`fetch the blob ${ref.key}`, async (signal) => {
          const object = await store.get(ref.key);
          if (!object) {
            throw new BusError({
              reason: { _tag: "BlobMissing", key: ref.key },
              message: `the object store has no blob ${ref.key}: it was deleted, or the store was replaced`,
            });
          }
          await saveObject(object, path, signal);
        });

      const file = Effect.fn("blobs.file")(function* (ref: BlobRef) {
        const there = yield* cached(ref);
        yield* Effect.annotateCurrentSpan({
          "subtaxa.blob": ref.key,
          "subtaxa.bytes": ref.bytes,
          "subtaxa.cached": there !== null,
        });
        if (there) return there;
        const path = yield* scratchFileIn(cacheFolder);
        yield* download(ref, path);
        yield* Metric.update(receivedBytes, ref.bytes);
        const { sha256 } = yield* onDisk(path, () => hashOfFile(path));
        if (sha256 !== ref.sha256) {
          return yield* new BusError({
            reason: { _tag: "BlobCorrupt", key: ref.key },
            message: `the blob ${ref.key} arrived with the hash ${sha256}`,
          });
        }
        return yield* settle(path, ref);
      });

      const get = Effect.fn("blobs.get")(
        function* (ref: BlobRef) {
          return yield* readIntact(yield* file(ref), ref.sha256);
        },
        Effect.scoped,
        Effect.retry({ times: 1, while: ({ reason }) => reason._tag === "Cache" }),
      );

      const remove = Effect.fn("blobs.remove")(function* (ref: BlobRef) {
        yield* onDisk(pathOf(ref), () => rm(pathOf(ref), { force: true }));
        verified.delete(ref.key);
        yield* attempt(`remove the blob ${ref.key}`, async () => {
          const known = await store.info(ref.key);
          if (known && !known.deleted) await store.delete(ref.key);
        });
      });

      const owned = attempt(
        "list the blobs",
        async () =>
          (await store.list()).flatMap(({ name, size, deleted }) => {
            const [, owner, sha256] = /^(.+)\.sha256-([0-9a-f]{64})$/.exec(name) ?? [];
            return deleted || !owner || !sha256 ? [] : [{ key: name, sha256, bytes: size, owner }];
          }),
      );

      return Blobs.of({ put, putFile, file, get, owned, remove, cacheFolder });
    }),
  );
}

/** The local file of a blob that may not be there yet. */
export const optionalFile = (
  ref: BlobRef | null,
): Effect.Effect<string | null, BusError, Blobs | Scope.Scope> =>
  ref ? Effect.flatMap(Blobs, (blobs) => blobs.file(ref)) : Effect.succeed(null);
