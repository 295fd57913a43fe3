import { Effect } from "effect";
import { join } from "node:path";
import type { SetupError } from "./errors.ts";
import { onDisk } from "./prerequisites.ts";

const pollMillis = 200;

/**
 * Runs `use` while this process alone holds `folder/lock`. The operating system's advisory lock does the work: it
 * ends with its holder, however that dies, so a stale file never blocks. The file's text is the holder's pid, for
 * people and for `onWait`, which is called once when another set-up is at it.
 */
export const withLock = <A, E, R>(
  folder: string,
  onWait: (holder: string) => void,
  use: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SetupError, R> => {
  const path = join(folder, "lock");
  const open = onDisk(folder, async () => {
    await Deno.mkdir(folder, { recursive: true });
    return await Deno.open(path, { create: true, read: true, write: true });
  });
  const take = Effect.fnUntraced(function* (file: Deno.FsFile) {
    for (let waited = false; !(yield* onDisk(folder, () => file.tryLock(true))); waited = true) {
      if (!waited) onWait(yield* onDisk(folder, () => Deno.readTextFile(path)));
      yield* Effect.sleep(pollMillis);
    }
    yield* onDisk(folder, async () => {
      await file.truncate();
      await file.write(new TextEncoder().encode(String(Deno.pid)));
    });
  });
  return Effect.acquireUseRelease(
    open,
    (file) => Effect.andThen(take(file), use),
    (file) => Effect.sync(() => file.close()),
  );
};
