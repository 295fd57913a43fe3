import { Effect, type Scope } from "effect";
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { BusError } from "./error.ts";

/** In the cache's folder, but no cached files: what is being made, and the lock. */
const notCached = new Set(["incoming", "imports", "lock"]);

/**
 * How exactly the time of the last use is known. To note it changes the file's times, after which every
 * process hashes the file again, so not every use is noted.
 */
const useIsNotedEveryMs = 10 * 60_000;

/** A full cache is looked through again when this share of its limit has come in. */
const lookedThroughEvery = 0.01;

export const onDisk = <A>(
  path: string,
  call: (signal: AbortSignal) => Promise<A>,
): Effect.Effect<A, BusError> =>
  Effect.tryPromise({
    try: call,
    catch: (cause) =>
      new BusError({
        reason: { _tag: "Cache", path },
        message: `could not use the cache file ${path}: ${cause instanceof Error ? cause.message : cause}`,
        cause,
      }),
  });

/** A path for a file that is being made, in a cache's folder; what is left there goes with the scope. */
export const scratchFileIn = (cacheFolder: string): Effect.Effect<string, BusError, Scope.Scope> => {
  const folder = join(cacheFolder, "incoming");
  return Effect.acquireRelease(
    onDisk(folder, async () => {
      await mkdir(folder, { recursive: true });
      return join(folder, crypto.randomUUID());
    }),
    (path) => Effect.ignore(onDisk(path, () => rm(path, { force: true }))),
  );
};

/**
 * While it is the same, no process has written to the file or put another in its place. Whoever sets the time of
 * modification back changes ctime, which Deno tells in whole seconds.
 */
export const stateOf = ({ ino, size, mtime, ctime }: Deno.FileInfo): string =>
  [ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");

/**
 * The bytes of a file of the cache that has this hash. If it turns out to be damaged, that is a failure worth
 * another try: the file gets another time, upon which whoever asks `Blobs` for it next, in whichever process,
 * hashes it and fetches it anew.
 */
export const readIntact = (
  path: string,
  sha256: string,
): Effect.Effect<Uint8Array<ArrayBuffer>, BusError> =>
  onDisk(path, async () => {
    const bytes = await Deno.readFile(path);
    if (createHash("sha256").update(bytes).digest("hex") === sha256) return bytes;
    await Deno.utime(path, 0, 0);
    throw new Error("it is damaged, and is fetched again at the next try");
  });

/** Opens a file and locks it as one in use; null if there is none. */
const take = async (path: string): Promise<Deno.FsFile | null> => {
  try {
    const file = await Deno.open(path);
    await file.lock(false);
    const used = (await file.stat()).mtime?.getTime() ?? 0;
    // the time may also lie in the future, where the clock was set back
    if (Math.abs(Date.now() - used) > useIsNotedEveryMs) await file.utime(new Date(), new Date());
    return file;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return null;
    throw cause;
  }
};

/** Removes a file, unless it is in use: then it says false. */
const removeUnused = async (path: string): Promise<boolean> => {
  const file = await Deno.open(path).catch(() => null);
  if (file === null) return true; // a neighbour was quicker
  using held = file;
  if (!(await held.tryLock(true))) return false;
  await rm(path, { force: true });
  return true;
};

/**
 * Files in a folder that the services of one machine share: about `limit` bytes of them, of which those go that were used
 * least recently, by the time of modification, which is at most ten minutes older than the last use. One in
 * use carries a shared lock, which the system gives back however its process ends, and stays; that keeps the
 * folder above its limit if need be.
 */
export const fileCache = (folder: string, limit: number) => {
  let unseen = 0;

  /** No process takes, places or evicts a file meanwhile: it could get lost between two looks at it. */
  const alone = async <A>(call: () => Promise<A>): Promise<A> => {
    await mkdir(folder, { recursive: true });
    using lock = await Deno.open(join(folder, "lock"), { write: true, create: true });
    await lock.lock(true);
    return await call();
  };

  const held = (path: string, call: () => Promise<Deno.FsFile | null>) =>
    Effect.acquireRelease(onDisk(path, () => alone(call)), (file) => Effect.sync(() => file?.close()));

  const list = async () => {
    const names = (await readdir(folder, { recursive: true }))
      .filter((name) => !notCached.has(name.split("/")[0]!));
    const found = await Promise.all(names.map(async (name) => {
      const path = join(folder, name);
      const info = await stat(path).catch(() => null); // removed meanwhile
      return info?.isFile() ? [{ path, bytes: info.size, used: info.mtimeMs }] : [];
    }));
    return found.flat().sort((a, b) => a.used - b.used);
  };

  const evict = onDisk(folder, async () => {
    unseen = 0;
    await mkdir(folder, { recursive: true });
    const files = await list();
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of files) {
      if (total <= limit) break;
      if (await alone(() => removeUnused(path))) total -= bytes;
    }
  }).pipe(Effect.catch(({ message }) => Effect.logWarning(`the cache may outgrow its limit: ${message}`)));

  return {
    /** The file, which stays until the scope ends; null if it isn't there. */
    hold: (path: string) => held(path, () => take(path)),
    /** Removes a file that is held, even if others hold it too; one put in its place meanwhile stays. */
    discard: (path: string, file: Deno.FsFile) =>
      onDisk(path, () =>
        alone(async () => {
          const there = await Deno.stat(path).catch(() => null);
          if (there && there.ino === (await file.stat()).ino) await rm(path, { force: true });
        })),
    /**
     * Moves a file to its path, holds and returns it. One that is there already stays, as others may be using
     * it: then null is returned.
     */
    place: (from: string, path: string) =>
      Effect.gen(function* () {
        let moved = false;
        const file = yield* held(path, async () => {
          await mkdir(dirname(path), { recursive: true });
          const there = await take(path);
          if (there) return there;
          await rename(from, path);
          moved = true;
          return await take(path);
        });
        if (file) unseen += (yield* onDisk(path, () => file.stat())).size;
        if (unseen > limit * lookedThroughEvery) yield* evict;
        return moved ? file : null;
      }),
    /** Removes what is beyond the limit. Never fails: it says so in the log. */
    evict,
  };
};
