import type { DatasetView } from "@subtaxa/contracts";
import { Effect, Option, Schedule, Stream } from "effect";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { z } from "zod";
import {
  type CliError,
  datasetView,
  describeDataset,
  importFolder,
  listDatasets,
  nameFrom,
  serverEvents,
  type Target,
} from "../cli/mod.ts";
import { ReproduceError } from "./error.ts";

/** Paths are meant from where the user is; `deno task` starts in the project's folder and tells where that was. */
export const userPath = (path: string): string => resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), path);

/** What `--dataset` names. */
export interface Named {
  readonly name: string;
  /** The folder of that name as the user sees it, when there is one. */
  readonly folder: string | undefined;
  /** Whether the folder itself was named, and not just a dataset that may have been imported from it. */
  readonly isPath: boolean;
}

const isFolder = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() => stat(path).then((info) => info.isDirectory(), () => false));

const noDataset = (dataset: string, message: string) =>
  new ReproduceError({ reason: { _tag: "NoDataset", dataset }, message });

/** A name stands for a dataset; what has a slash or begins with a dot is a folder, whose name the dataset takes. */
export const namedDataset = (given: string): Effect.Effect<Named, ReproduceError> =>
  Effect.gen(function* () {
    const isPath = /[/\\]|^\./.test(given);
    const path = userPath(given);
    const exists = yield* isFolder(path);
    if (isPath && !exists) return yield* noDataset(given, `there is no folder ${path}`);
    const name = isPath ? nameFrom(path) : given;
    if (name === "") return yield* noDataset(given, `no name can be made from '${given}': rename the folder`);
    return { name, folder: exists ? path : undefined, isPath };
  });

/** Wrong groups would be noticed only when everything has been trained: where the folder is at hand, its names are looked at. */
export const requireGroups = (
  { folder }: Named,
  separator: string | undefined,
): Effect.Effect<void, ReproduceError> =>
  Effect.gen(function* () {
    if (folder === undefined || separator === undefined) return;
    const files = yield* Effect.promise(() => readdir(folder, { recursive: true }).catch(() => []));
    if (files.length === 0 || files.some((file) => basename(file).includes(separator))) return;
    return yield* new ReproduceError({
      reason: { _tag: "NoGroups", separator },
      message:
        `--groups: no file below ${folder} has "${separator}" in its name, so the names tell no groups: ` +
        "leave it out, or give what follows the group's name",
    });
  });

const lookUp = (target: Target, name: string): Effect.Effect<DatasetView | undefined, CliError> =>
  datasetView(target, name).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "Refused" && reason.status === 404,
      () => Effect.succeed(undefined),
    ),
  );

const Requested = z.object({ type: z.literal("dataset.requested"), path: z.string() });

/** The folder that a dataset was imported from, on the gateway's machine. */
const originOf = (target: Target, name: string): Effect.Effect<string | undefined, CliError> =>
  serverEvents(target, `/v1/datasets/${encodeURIComponent(name)}/events`).pipe(
    Stream.filter(({ event }) => event === "dataset.requested"),
    Stream.runHead,
    Effect.map((message) => {
      const fact = Requested.safeParse(Option.isSome(message) ? JSON.parse(message.value.data) : undefined);
      return fact.success ? fact.data.path : undefined;
    }),
  );

const settled = (target: Target, name: string): Effect.Effect<DatasetView, CliError> =>
  datasetView(target, name).pipe(
    Effect.repeat({ schedule: Schedule.spaced("1 second"), until: ({ state }) => state !== "importing" }),
  );

const failedImport = (view: DatasetView) =>
  new ReproduceError({
    reason: { _tag: "ImportFailed", dataset: view.name },
    message: describeDataset(view, 5),
  });

/**
 * The dataset, imported if there is none of its name: never a second time. An import that is under way is waited for, one
 * that has failed is repeated.
 */
export const ensureDataset = (
  target: Target,
  { name, folder, isPath }: Named,
): Effect.Effect<DatasetView, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const known = yield* lookUp(target, name);
    if (known && known.state !== "failed") {
      const origin = isPath ? yield* originOf(target, name) : undefined;
      const here = folder && (yield* Effect.promise(() => realpath(folder)));
      if (origin !== undefined && origin !== here) {
        return yield* new ReproduceError({
          reason: { _tag: "OtherImages", dataset: name },
          message: `the dataset '${name}' was imported from ${origin}, not from ${here}: ` +
            `name the dataset to use that (--dataset ${name}), or rename the folder`,
        });
      }
      const view = yield* settled(target, name);
      return view.state === "ready" ? view : yield* failedImport(view);
    }
    if (folder === undefined) {
      if (known) return yield* failedImport(known);
      const names = (yield* listDatasets(target)).map((dataset) => dataset.name).join(", ");
      return yield* noDataset(
        name,
        `there is neither a dataset nor a folder '${name}'; ` +
          (names ? `there are: ${names}` : "give a folder"),
      );
    }
    const view = yield* importFolder(target, { folder, name, fields: {}, json: false });
    return view.state === "ready" ? view : yield* failedImport(view);
  });
