import { hasEnded, RunRequest, RunView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ask, request, type Target } from "./api.ts";
import { clustererOf, listClusterers } from "./clusterers.ts";
import { type CliError, failedError } from "./error.ts";
import { requestOf } from "./flags.ts";
import { percent, table } from "./words.ts";

/** Starts a run; its id. */
export const startRun = (
  target: Target,
  fields: Readonly<Record<string, unknown>>,
): Effect.Effect<string, CliError> =>
  Effect.gen(function* () {
    const body = yield* requestOf(RunRequest, fields);
    const { id } = yield* ask(target, "/v1/runs", z.object({ id: z.string() }), { method: "POST", body });
    return id;
  });

/** What a run with a clusterer that nobody serves now is going to wait for; undefined otherwise. */
export const describeAbsence = (
  target: Target,
  { clusterer }: RunView,
): Effect.Effect<string | undefined, CliError> =>
  Effect.gen(function* () {
    if (!clusterer) return undefined;
    const served = (yield* listClusterers(target)).find(({ name }) => name === clusterer.name);
    if (served && served.instances > 0) return undefined;
    return `nobody serves the clusterer '${clusterer.name}' now: the run waits for it when it gets there, and fails ` +
      "unless it comes in time";
  });

export const listRuns = (target: Target, limit: number): Effect.Effect<RunView[], CliError> =>
  ask(target, `/v1/runs?limit=${limit}`, z.array(RunView));

/** Epochs done, over all folds, and how many there may be at most while it goes on. */
export const epochsOf = (run: RunView): string => {
  const { epochsDone, epochs, folds } = run;
  return hasEnded(run) ? String(epochsDone) : `${epochsDone} of ${epochs * folds}`;
};

export const runTable = (runs: readonly RunView[]): string =>
  table(
    ["run", "state", "dataset", "network", "method", "clusterer", "epochs", "accuracy", "F", "created"],
    runs.map((run) => {
      const { id, state, dataset, backbone, imageSize, method, metrics, createdAt } = run;
      return [
        ...[id, state, dataset, `${backbone} ${imageSize}`, method, clustererOf(run), epochsOf(run)],
        ...[metrics ? percent(metrics.accuracy) : "", metrics ? percent(metrics.fScore) : ""],
        createdAt.slice(0, 16).replace("T", " "),
      ];
    }),
  );

export const cancelRun = (target: Target, id: string): Effect.Effect<RunView, CliError> =>
  ask(target, `/v1/runs/${encodeURIComponent(id)}/cancel`, RunView, { method: "POST" });

/** What a report is called unless the user says so. */
export const reportName = (id: string): string => `subtaxa-${id}.html`;

/** Saves a run's report as `output`, or into the folder of that name under the file's own; the file's path. */
export const saveReport = (target: Target, id: string, output: string): Effect.Effect<string, CliError> =>
  Effect.gen(function* () {
    const isFolder = yield* Effect.promise(() =>
      stat(output).then((info) => info.isDirectory(), () => false)
    );
    const path = isFolder ? join(output, reportName(id)) : output;
    const { body } = yield* request(target, `/v1/runs/${encodeURIComponent(id)}/report`);
    yield* Effect.tryPromise({
      try: () => writeFile(path, body ?? new Uint8Array()),
      catch: (cause) =>
        failedError(
          `the report can't be written to ${path}: ${cause instanceof Error ? cause.message : cause}`,
        ),
    });
    return path;
  });

/** Shows a file with the program that the desktop has for it. */
export const openFile = (path: string): Effect.Effect<void, CliError> => {
  const opener = Deno.build.os === "darwin" ? "open" : "xdg-open";
  return Effect.tryPromise({
    try: async () => {
      const { success } = await new Deno.Command(opener, { args: [path], stdout: "null", stderr: "null" })
        .output();
      if (!success) throw new Error(`${opener} could not show it`);
    },
    catch: (cause) =>
      failedError(`the report is at ${path}, but ${cause instanceof Error ? cause.message : cause}`),
  });
};
