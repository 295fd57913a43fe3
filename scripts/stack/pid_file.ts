import { Effect } from "effect";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ProcessView } from "./process_view.ts";
import { StackError } from "./error.ts";
import { isAlive } from "./identity.ts";

const began = z.string();

/** A started process, as `up.json` keeps it. */
const Entry = ProcessView.extend({ began });
export type Entry = z.infer<typeof Entry>;

/** `up.json`: what the supervisor of a data folder started. It is there only while something may be running. */
const PidFile = z.object({
  supervisor: z.object({ pid: z.number().int(), began }),
  url: z.string(),
  natsUrl: z.string(),
  processes: z.array(Entry),
});
export type PidFile = z.infer<typeof PidFile>;

const pathIn = (dataFolder: string): string => join(dataFolder, "up.json");

/** Undefined when nothing was started on this folder, or all of it was stopped in order. */
export const readPidFile = (dataFolder: string): Effect.Effect<PidFile | undefined, StackError> =>
  Effect.tryPromise({
    try: async () => PidFile.parse(JSON.parse(await Deno.readTextFile(pathIn(dataFolder)))),
    catch: (cause) => cause,
  }).pipe(
    Effect.catchIf((cause) => cause instanceof Deno.errors.NotFound, () => Effect.succeed(undefined)),
    Effect.mapError((cause) =>
      StackError.of({ _tag: "FolderUnusable", folder: pathIn(dataFolder), detail: String(cause) })
    ),
  );

/** Atomic: a reader sees the old content or the new. Synchronous, so that writes keep their order. */
export const writePidFile = (dataFolder: string, file: PidFile): void => {
  const path = pathIn(dataFolder);
  writeFileSync(`${path}.partial`, `${JSON.stringify(file, null, 2)}\n`);
  renameSync(`${path}.partial`, path);
};

export const removePidFile = (dataFolder: string): void => rmSync(pathIn(dataFolder), { force: true });

/** What was started on a data folder, checked against the processes that are really there. */
export interface Running {
  /** Pid of the supervisor; undefined when it is gone. */
  readonly supervisor: number | undefined;
  readonly url: string;
  /** Without those that ended with their supervisor. */
  readonly processes: readonly ProcessView[];
}

/** What `ps` shows. Undefined when nothing runs. */
export const runningOn = (dataFolder: string): Effect.Effect<Running | undefined, StackError> =>
  Effect.map(readPidFile(dataFolder), (file) => {
    if (!file) return undefined;
    const supervised = isAlive(file.supervisor);
    const processes = file.processes.flatMap(({ began, ...view }) => {
      if (isAlive({ pid: view.pid, began })) return [view];
      return supervised ? [{ ...view, state: "stopped" as const }] : [];
    });
    if (!supervised && processes.length === 0) return undefined;
    return { supervisor: supervised ? file.supervisor.pid : undefined, url: file.url, processes };
  });
