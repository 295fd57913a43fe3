import { Method } from "@subtaxa/contracts";
import { Effect } from "effect";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ReproduceError } from "./error.ts";
import { type Settings, Settings as SettingsSchema } from "./plan.ts";

const Entry = z.object({
  /** Idempotency-Key; written down before the run is asked for. */
  key: z.string(),
  attempt: z.number().int().min(0),
  /** Written down when the gateway has answered. */
  id: z.string().optional(),
});
export type Entry = z.infer<typeof Entry>;

const File = z.object({
  v: z.literal(1),
  settings: SettingsSchema,
  /** When the images were imported that the runs are about; written down once that is known. */
  importedAt: z.string().optional(),
  runs: z.partialRecord(Method, Entry),
});

/** `runs.json`: which run belongs to which method. It is all that a reproduction needs to go on after it was killed. */
export interface Ledger {
  readonly of: (method: Method) => Entry | undefined;
  /**
   * Ties the runs to the images that were imported at that time. Those of other images are forgotten if `again`; else it
   * fails when there are any.
   */
  readonly tie: (importedAt: string, again: boolean) => Effect.Effect<void, ReproduceError>;
  readonly set: (method: Method, entry: Entry) => Effect.Effect<void, ReproduceError>;
}

const words = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);

const unreadable = (file: string, cause: unknown) =>
  new ReproduceError({
    reason: { _tag: "LedgerUnreadable", file },
    message: `${file} can't be read (${
      words(cause)
    }): remove it to begin anew, or name another folder with --out`,
  });

/** The settings in which the two differ, a line each. */
const differences = (before: Settings, now: Settings): string[] =>
  Object.keys(SettingsSchema.shape).flatMap((name) => {
    const [was, is] = [before, now].map((settings) => {
      const value = settings[name as keyof Settings] ?? "not given";
      return typeof value === "object" ? JSON.stringify(value) : value;
    });
    return was === is ? [] : [`  ${name}: ${was} there, ${is} here`];
  });

/** Reads the ledger of a folder, or begins one; fails when it belongs to other settings. */
export const openLedger = (folder: string, settings: Settings): Effect.Effect<Ledger, ReproduceError> =>
  Effect.gen(function* () {
    const path = join(folder, "runs.json");
    const text = yield* Effect.try({
      try: () => Deno.readTextFileSync(path),
      catch: (cause) => cause,
    }).pipe(
      Effect.catchIf((cause) => cause instanceof Deno.errors.NotFound, () => Effect.succeed(undefined)),
      Effect.mapError((cause) => unreadable(path, cause)),
    );
    const file = yield* Effect.try({
      try: () => text === undefined ? { v: 1 as const, settings, runs: {} } : File.parse(JSON.parse(text)),
      catch: (cause) => unreadable(path, cause instanceof z.ZodError ? "it is no list of runs" : cause),
    });
    const changed = differences(file.settings, settings);
    if (changed.length > 0) {
      return yield* new ReproduceError({
        reason: { _tag: "OtherSettings", folder },
        message: `${folder} holds a reproduction with other settings; choose another folder with --out:\n` +
          changed.join("\n"),
      });
    }
    let { runs, importedAt } = file;
    /** Synchronous, so that writes keep their order; atomic, so that a kill leaves the old or the new. */
    const write = Effect.try({
      try: () => {
        mkdirSync(folder, { recursive: true });
        writeFileSync(`${path}.partial`, `${JSON.stringify({ ...file, importedAt, runs }, null, 2)}\n`, {
          flush: true,
        });
        renameSync(`${path}.partial`, path);
      },
      catch: (cause) =>
        new ReproduceError({
          reason: { _tag: "NotWritable", path },
          message: `${path} can't be written (${words(cause)}): name another folder with --out`,
        }),
    });
    const otherImages = (before: string, now: string) =>
      new ReproduceError({
        reason: { _tag: "OtherImages", dataset: settings.dataset },
        message:
          `${folder} holds results of the dataset '${settings.dataset}' as it was imported at ${before}, ` +
          `but that of now was imported at ${now}: --import-again replaces them by results of the new images, ` +
          "another --out keeps them",
      });
    yield* write;
    return {
      of: (method) => runs[method],
      tie: (now, again) =>
        Effect.suspend(() => {
          if (now === importedAt) return Effect.void;
          const begun = Object.keys(runs).length > 0;
          if (importedAt !== undefined && begun && !again) return Effect.fail(otherImages(importedAt, now));
          if (again) runs = {};
          importedAt = now;
          return write;
        }),
      set: (method, entry) =>
        Effect.suspend(() => {
          runs = { ...runs, [method]: entry };
          return write;
        }),
    };
  });
