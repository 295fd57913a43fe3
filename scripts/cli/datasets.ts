import { DatasetProgress, DatasetRequest, DatasetView, reasonGroups } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { basename, resolve } from "node:path";
import { z } from "zod";
import { ask, serverEvents, type Target, untilOver } from "./api.ts";
import { type CliError, usageError } from "./error.ts";
import { requestOf } from "./flags.ts";
import { makeScreen } from "./screen.ts";
import { count, printable, table } from "./words.ts";

const pathOf = (name: string): string => `/v1/datasets/${encodeURIComponent(name)}`;

/** A dataset's name made from its folder's: what a name may not hold becomes `-`. */
export const nameFrom = (folder: string): string =>
  basename(folder).normalize("NFKD").replace(/\p{M}+/gu, "").replace(/[^A-Za-z0-9_-]+/g, "-").replace(
    /^[-_]+|-+$/g,
    "",
  ).slice(0, 64);

/** The first few of a list, a line each, and how many more there are. */
const firstOf = (lines: readonly string[], number: number): string[] => [
  ...lines.slice(0, number).map((line) => `    ${printable(line)}`),
  ...(lines.length > number ? [`    … and ${lines.length - number} more`] : []),
];

const isFolder = ({ file }: { readonly file: string }): boolean => file.endsWith("/");

/**
 * Rejected files by reason, the most frequent first, with the first few names each. Reasons that differ only after their
 * colon are one; what follows it is then said beside each name.
 */
export const describeRejected = (rejected: DatasetView["rejected"], names: number): string =>
  reasonGroups(rejected).map(({ reason, files }) => {
    const common = files.every((one) => one.reason === files[0]!.reason);
    const lines = files.map((one) => `${one.file}${common ? "" : one.reason.slice(reason.length)}`);
    return [
      `  ${count(files.length, files.every(isFolder) ? "folder" : "file")}: ${
        common ? files[0]!.reason : reason
      }`,
      ...firstOf(lines, names),
    ].join("\n");
  }).join("\n");

/** What an import found beside the images, whether or not it succeeded; `names`: as many of each list. */
const describeFindings = (view: DatasetView, names: number): string[] => {
  const { depth, pixelSize, warnings, labelConflicts, rejected } = view;
  const conflicts = labelConflicts.map(({ files }) => files.map(({ path }) => path).join(" = "));
  return [
    ...(depth ? [`  16-bit images: ${depth.bits} bits, black at ${depth.offset}`] : []),
    ...(pixelSize === undefined ? [] : [`  a pixel is ${pixelSize} µm wide`]),
    ...warnings.map(({ message }) => `  warning: ${printable(message)}`),
    ...(conflicts.length === 0 ? [] : [
      `  ${count(conflicts.length, "picture lies", "pictures lie")} in several classes:`,
      ...firstOf(conflicts, names),
    ]),
    describeRejected(rejected, names),
  ].filter(Boolean);
};

const imagesOf = ({ classes }: DatasetView): number => classes.reduce((sum, { images }) => sum + images, 0);

export const describeDataset = (view: DatasetView, names: number): string => {
  const { name, state, classes, rejected, error } = view;
  if (state === "failed") {
    const why = error?.message ?? "no reason was given";
    return [`dataset ${name} can't be used: ${why}`, ...describeFindings(view, names)].join("\n");
  }
  const summary = `dataset ${name} is ${state}: ${count(classes.length, "class", "classes")}, ` +
    `${count(imagesOf(view), "image")}, ${count(rejected.length, "file")} rejected`;
  const list = table(["class", "images"], classes.map(({ name, images }) => [name, images]));
  return [
    summary,
    ...(classes.length > 0 ? [list.replace(/^/gm, "  ")] : []),
    ...describeFindings(view, names),
  ].join("\n");
};

export const datasetView = (target: Target, name: string): Effect.Effect<DatasetView, CliError> =>
  ask(target, pathOf(name), DatasetView);

/** The dataset, if there is one of that name. */
export const knownDataset = (
  target: Target,
  name: string,
): Effect.Effect<DatasetView | undefined, CliError> =>
  datasetView(target, name).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "Refused" && reason.status === 404,
      () => Effect.succeed(undefined),
    ),
  );

/** Follows an import to its end, with a bar. */
const followImport = (target: Target, name: string, json: boolean): Effect.Effect<DatasetView, CliError> =>
  Effect.scoped(Effect.gen(function* () {
    const screen = yield* makeScreen({ json });
    const label = `importing ${name}`;
    const events = Stream.runForEach(
      serverEvents(target, `${pathOf(name)}/events`),
      ({ event, data }) =>
        Effect.sync(() => {
          if (event !== "progress") return;
          const progress = DatasetProgress.safeParse(JSON.parse(data));
          if (!progress.success) return;
          const { done, total, rejected } = progress.data;
          screen.gauge(name, { label, done, total, details: rejected > 0 ? `${rejected} rejected` : "" });
        }),
    );
    return yield* untilOver(datasetView(target, name), ({ state }) => state !== "importing", events);
  }));

/** Imports a folder and waits until that is done; returns the dataset, which may have failed. */
export const importFolder = (
  target: Target,
  options: {
    readonly folder: string;
    readonly name: string | undefined;
    /** Further fields of the request. */
    readonly fields: Readonly<Record<string, unknown>>;
    readonly json: boolean;
  },
): Effect.Effect<DatasetView, CliError> =>
  Effect.gen(function* () {
    const name = options.name ?? nameFrom(resolve(options.folder));
    if (name === "") {
      return yield* usageError(`no name can be made from '${options.folder}': give one with --name`);
    }
    const body = yield* requestOf(DatasetRequest, { ...options.fields, name, path: options.folder });
    const former = yield* knownDataset(target, name);
    if (former?.state === "ready") {
      console.error(
        `replaces the dataset ${name} of ${count(former.classes.length, "class", "classes")} and ` +
          `${count(imagesOf(former), "image")}; runs that were started on it keep its images`,
      );
    }
    yield* ask(target, "/v1/datasets", z.unknown(), { method: "POST", body });
    return yield* followImport(target, name, options.json);
  });

export const listDatasets = (target: Target): Effect.Effect<DatasetView[], CliError> =>
  ask(target, "/v1/datasets", z.array(DatasetView));

export const datasetTable = (datasets: readonly DatasetView[]): string =>
  table(
    ["dataset", "state", "classes", "images", "rejected"],
    datasets.map((
      view,
    ) => [view.name, view.state, view.classes.length, imagesOf(view), view.rejected.length]),
  );
