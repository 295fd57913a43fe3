import { RunRequest, RunView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { writeFile } from "node:fs/promises";
import { z } from "zod";
import { ask, request, type Target } from "./api.ts";
import { clustererOf } from "./clusterers.ts";
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

export const listRuns = (target: Target, limit: number): Effect.Effect<RunView[], CliError> =>
  ask(target, `/v1/runs?history=false&limit=${limit}`, z.array(RunView));

export const runTable = (runs: readonly RunView[]): string =>
  table(
    ["run", "state", "dataset", "method", "clusterer", "epoch", "accuracy", "F", "created"],
    runs.map((run) => {
      const { id, state, dataset, method, epoch, epochs, metrics, createdAt } = run;
      return [
        ...[id, state, dataset, method, clustererOf(run), `${epoch} of ${epochs}`],
        ...[metrics ? percent(metrics.accuracy) : "", metrics ? percent(metrics.fScore) : ""],
        createdAt.slice(0, 16).replace("T", " "),
      ];
    }),
  );

export const cancelRun = (target: Target, id: string): Effect.Effect<RunView, CliError> =>
  ask(target, `/v1/runs/${encodeURIComponent(id)}/cancel`, RunView, { method: "POST" });

/** Saves a run's report. */
export const saveReport = (target: Target, id: string, path: string): Effect.Effect<void, CliError> =>
  Effect.gen(function* () {
    const { body } = yield* request(target, `/v1/runs/${encodeURIComponent(id)}/report`);
    yield* Effect.tryPromise({
      try: () => writeFile(path, body ?? new Uint8Array()),
      catch: (cause) =>
        failedError(
          `the report can't be written to ${path}: ${cause instanceof Error ? cause.message : cause}`,
        ),
    });
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
