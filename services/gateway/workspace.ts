import { Blobs } from "@subtaxa/bus";
import { Effect, type Scope } from "effect";
import { join } from "node:path";
import { GatewayError } from "./error.ts";

const onDisk = <A>(path: string, call: () => Promise<A>) =>
  Effect.tryPromise({
    try: call,
    catch: (cause) =>
      new GatewayError({
        reason: { _tag: "Storage", path },
        message: `could not use the folder for imports ${path}: ${
          cause instanceof Error ? cause.message : cause
        }`,
        cause,
      }),
  });

const remove = (path: string) =>
  Deno.remove(path, { recursive: true }).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  });

/** Where imports are prepared: beside the blobs, so that shards are moved, not copied. */
const parentFolder = Effect.map(Blobs, (blobs) => join(blobs.cacheFolder, "imports"));

/**
 * An empty folder for one import, removed with the scope. A locked file `<folder>.lock` beside it says that it is in use:
 * the system gives the lock back when the process dies, however it dies.
 */
export const importWorkspace: Effect.Effect<string, GatewayError, Blobs | Scope.Scope> = Effect.gen(
  function* () {
    const parent = yield* parentFolder;
    const folder = join(parent, crypto.randomUUID());
    yield* Effect.acquireRelease(
      onDisk(folder, async () => {
        await Deno.mkdir(parent, { recursive: true });
        const lock = await Deno.open(`${folder}.lock`, { write: true, createNew: true });
        await lock.lock(true);
        await Deno.mkdir(folder);
        return lock;
      }),
      (lock) =>
        onDisk(folder, async () => {
          await remove(folder);
          await remove(`${folder}.lock`);
          lock.close();
        }).pipe(Effect.catch((error) => Effect.logWarning(error.message))),
    );
    return folder;
  },
);

/** Removes the folders of imports whose process is dead. */
export const removeAbandonedWorkspaces: Effect.Effect<void, GatewayError, Blobs> = Effect.gen(function* () {
  const parent = yield* parentFolder;
  const removed = yield* onDisk(parent, async () => {
    await Deno.mkdir(parent, { recursive: true });
    let count = 0;
    for await (const { name } of Deno.readDir(parent)) {
      if (!name.endsWith(".lock")) continue;
      const path = join(parent, name);
      using lock = await Deno.open(path, { write: true });
      if (!(await lock.tryLock(true))) continue; // at work in another process
      await remove(path.slice(0, -".lock".length));
      await remove(path);
      count += 1;
    }
    return count;
  });
  if (removed > 0) yield* Effect.logInfo(`removed what ${removed} interrupted imports had left`);
});
