import { DatasetRequest, type DatasetView, LabelConflictPolicy } from "@subtaxa/contracts";
import { findOwnImages, type Found } from "@subtaxa/dataset";
import { Effect, Schedule, Stream } from "effect";
import { realpath, stat } from "node:fs/promises";
import { z } from "zod";
import {
  type CliError,
  datasetView,
  describeDataset,
  failedError,
  importFolder,
  knownDataset,
  listDatasets,
  nameFrom,
  serverEvents,
  type Target,
  userPath,
} from "../cli/mod.ts";
import { groupBefore } from "../splits/mod.ts";
import { changesOf, touchedSince } from "./changes.ts";
import { ReproduceError } from "./error.ts";
import type { ImportSettings } from "./plan.ts";

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
    // what can't be imported is said when that is tried
    const { candidates } = yield* Effect.orElseSucceed(findOwnImages(folder), () => ({ candidates: [] }));
    const groupOf = groupBefore(separator);
    if (candidates.length === 0 || candidates.some(({ path }) => groupOf(path) !== undefined)) return;
    return yield* new ReproduceError({
      reason: { _tag: "NoGroups", separator },
      message:
        `--groups: no file below ${folder} has "${separator}" in its name, so the names tell no groups: ` +
        "leave it out, or give what follows the group's name",
    });
  });

/** What an event has as null, a request leaves out. */
const given = z.number().nullish().transform((value) => value ?? undefined);

const Fact = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("dataset.requested"),
    at: z.string(),
    path: z.string(),
    maxSide: z.number(),
    minClassImages: z.number(),
    ...{ bitDepth: given, offset: given, pixelSize: given },
    onLabelConflict: LabelConflictPolicy.optional(),
  }),
  z.object({ type: z.literal("dataset.imported"), at: z.string() }),
]);
type FactOf<T> = Extract<z.infer<typeof Fact>, { type: T }>;

interface Import {
  /** Its folder on the gateway's machine, its settings, and when it began; undefined when the gateway has forgotten. */
  readonly requested: FactOf<"dataset.requested"> | undefined;
  /** When it was done: it tells one import of a name from another. */
  readonly importedAt: string;
}

/** The facts of the latest import of a dataset, which has ended. */
const factsOf = (target: Target, name: string): Effect.Effect<z.infer<typeof Fact>[], CliError> =>
  serverEvents(target, `/v1/datasets/${encodeURIComponent(name)}/events`).pipe(
    Stream.runFold((): z.infer<typeof Fact>[] => [], (facts, { event, data }) => {
      const fact = event === "progress" ? undefined : Fact.safeParse(JSON.parse(data)).data;
      return fact ? [...facts, fact] : facts;
    }),
  );

/** How the latest import of a dataset was asked for; undefined when the gateway has forgotten. */
const requestOf = (facts: readonly z.infer<typeof Fact>[]): FactOf<"dataset.requested"> | undefined =>
  facts.find((fact) => fact.type === "dataset.requested");

/** The latest import of a dataset that is ready. */
const latestImport = (target: Target, name: string): Effect.Effect<Import, CliError> =>
  Effect.gen(function* () {
    const facts = yield* factsOf(target, name);
    const imported = facts.find((fact) => fact.type === "dataset.imported");
    if (!imported) {
      return yield* failedError(`${target.url} doesn't tell when the dataset '${name}' was imported`);
    }
    return { requested: requestOf(facts), importedAt: imported.at };
  });

const settled = (target: Target, name: string): Effect.Effect<DatasetView, CliError> =>
  datasetView(target, name).pipe(
    Effect.repeat({ schedule: Schedule.spaced("1 second"), until: ({ state }) => state !== "importing" }),
  );

const failedImport = (view: DatasetView) =>
  new ReproduceError({
    reason: { _tag: "ImportFailed", dataset: view.name },
    message: describeDataset(view, 5),
  });

/** A dataset that is ready. */
export interface Imported {
  readonly dataset: DatasetView;
  /** When it was imported: it tells one import of a name from another. */
  readonly importedAt: string;
}

const imagesIn = (folder: string): Effect.Effect<Found, ReproduceError> =>
  Effect.mapError(
    findOwnImages(folder),
    ({ message }) => new ReproduceError({ reason: { _tag: "FolderUnreadable", folder }, message }),
  );

const importNow = (
  target: Target,
  folder: string,
  name: string,
  settings: AllSettings,
): Effect.Effect<Imported, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const dataset = yield* importFolder(target, { folder, name, fields: { ...settings }, json: false });
    if (dataset.state !== "ready") return yield* failedImport(dataset);
    return { dataset, importedAt: (yield* latestImport(target, name)).importedAt };
  });

/** What is asked of the images. */
export interface Wanted {
  /** Import the folder anew if it, or how it is to be imported, has changed. */
  readonly again: boolean;
  readonly imports: ImportSettings;
  /** Side at which the images are trained on, when it is given. */
  readonly imageSize: number | undefined;
}

/** Beside those of the command line, settings that a former import of the folder was given. */
type AllSettings =
  & ImportSettings
  & Partial<Omit<FactOf<"dataset.requested">, keyof ImportSettings | "type" | "at" | "path">>;

/** How to import: as said, else as before, but at no smaller side than the images are trained on. */
const importSettings = (
  { imports, imageSize = 0 }: Wanted,
  former?: FactOf<"dataset.requested">,
): AllSettings => {
  const { type: _, at: _at, path: _path, ...rest } = former ?? {} as Partial<FactOf<"dataset.requested">>;
  const { maxSide = DatasetRequest.shape.maxSide.parse(undefined), minClassImages } = rest;
  return {
    ...rest,
    maxSide: imports.maxSide ?? Math.max(maxSide, imageSize),
    minClassImages: imports.minClassImages ?? minClassImages,
  };
};

const flags = ({ maxSide, minClassImages }: ImportSettings): string =>
  `--max-side ${maxSide} --min-class-images ${minClassImages}`;

const otherImport = (name: string, requested: ImportSettings, imports: ImportSettings) =>
  Object.entries(imports).some(([field, value]) =>
      value !== undefined && value !== requested[field as keyof ImportSettings]
    )
    ? new ReproduceError({
      reason: { _tag: "OtherImport", dataset: name },
      message:
        `the dataset '${name}' was imported with ${
          flags(requested)
        }: leave these out to use it, or have the folder ` +
        "imported anew by --import-again (with another --out, results so far are kept)",
    })
    : undefined;

const shownPaths = (paths: readonly string[]): string =>
  [...paths.slice(0, 5), ...paths.length > 5 ? [`${paths.length - 5} more`] : []].join(", ");

/**
 * The dataset, imported if there is none of its name, or if `again` and its folder has changed since. An import that is
 * under way is waited for, one that has failed or can't be used any more is repeated. Unless `again`, fails when a folder was named that has more or
 * fewer images now, or when the dataset was imported otherwise than wanted; files that were only touched are named.
 */
export const ensureDataset = (
  target: Target,
  { name, folder, isPath }: Named,
  wanted: Wanted,
): Effect.Effect<Imported, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const { again, imports } = wanted;
    const known = yield* knownDataset(target, name);
    const dataset = known && (yield* settled(target, name));
    if (again && folder === undefined) {
      return yield* noDataset(name, `--import-again needs the folder of the images: name it with --dataset`);
    }
    if (dataset?.state !== "ready") {
      if (folder !== undefined && known?.state !== "importing") {
        const former = dataset && requestOf(yield* factsOf(target, name));
        const isSame = former?.path === (yield* Effect.promise(() => realpath(folder)));
        return yield* importNow(target, folder, name, importSettings(wanted, isSame ? former : undefined));
      }
      if (dataset) return yield* failedImport(dataset);
      const names = (yield* listDatasets(target)).map((one) => one.name).join(", ");
      return yield* noDataset(
        name,
        `there is neither a dataset nor a folder '${name}'; ` +
          (names ? `there are: ${names}` : "give a folder"),
      );
    }
    const { requested, importedAt } = yield* latestImport(target, name);
    const asItIs = { dataset, importedAt };
    if (requested === undefined) return asItIs;
    const other = again ? undefined : otherImport(name, requested, imports);
    if (other) return yield* other;
    if (folder === undefined) return asItIs;
    const here = yield* Effect.promise(() => realpath(folder));
    if (requested.path !== here) {
      if (!isPath && !again) return asItIs;
      return yield* new ReproduceError({
        reason: { _tag: "OtherFolder", dataset: name },
        message: `the dataset '${name}' was imported from ${requested.path}, not from ${here}: ` +
          `name the dataset to use that (--dataset ${name}), or rename the folder`,
      });
    }
    const found = yield* imagesIn(here);
    const changes = changesOf(found, dataset);
    const touched = changes.length > 0
      ? []
      : yield* Effect.promise(() => touchedSince(found, Date.parse(requested.at)));
    if (again) {
      const settings = importSettings(wanted, requested);
      const same = flags(settings) === flags(requested);
      if (!same || changes.length > 0 || touched.length > 0) {
        return yield* importNow(target, here, name, settings);
      }
      console.log(`nothing has changed in ${here} since it was imported at ${importedAt}`);
      return asItIs;
    }
    if (changes.length === 0) {
      if (touched.length > 0) {
        console.error(
          `${here} has files that were written or moved since it was imported at ${importedAt} (${
            shownPaths(touched)
          }): this goes on with the images as they were, --import-again imports them anew`,
        );
      }
      return asItIs;
    }
    const message = `${here} has changed since it was imported at ${importedAt}:\n` +
      `${changes.map((change) => `  ${change}\n`).join("")}` +
      `--import-again imports it anew, for results of all methods with the images as they are now`;
    if (isPath) {
      return yield* new ReproduceError({
        reason: { _tag: "OtherImages", dataset: name },
        message: `${message} (with another --out, those so far are kept); ` +
          `--dataset ${name} takes the images as they were`,
      });
    }
    console.error(`${message}; this goes on with the images as they were`);
    return asItIs;
  });
