import { createRoute, z } from "@hono/zod-openapi";
import { Blobs, Bus } from "@subtaxa/bus";
import {
  type BlobRef,
  decodeLabels,
  decodePredictions,
  hasEnded,
  RunMetricsView,
  type RunView,
  subjects,
  usesClustering,
} from "@subtaxa/contracts";
import { labelsCsv, labelsOf, predictionsCsv, runLog, runMetrics } from "@subtaxa/runs";
import { Effect } from "effect";
import { ReadModel } from "../read_model.ts";
import { problem, type ProblemKind, problemResponses } from "../problem.ts";
import { everywhere, routes } from "./routes.ts";
import { csvOptions, csvQuery, csvResponse } from "./csv.ts";
import { knownRun, params } from "./runs.ts";
import type { Run } from "./runtime.ts";

const tags = ["results"];

const route = <Q extends z.ZodObject>(
  { path, summary, description = "", type, schema, query, problems = [] }: {
    readonly path: string;
    readonly summary: string;
    readonly description?: string;
    readonly type: string;
    readonly schema: z.ZodType;
    readonly query: Q;
    readonly problems?: readonly ProblemKind[];
  },
) =>
  createRoute({
    method: "get",
    path: `/v1/runs/{id}/${path}`,
    tags,
    summary,
    description,
    request: { params, query },
    responses: {
      200: { description: summary, content: { [type]: { schema } } },
      ...problemResponses(...everywhere, "unknown-run", "no-result", "result-lost", ...problems),
    },
  });

const table = (path: string, summary: string, description: string) =>
  route({
    ...{ path, summary, description, type: "text/csv", schema: z.string(), query: csvQuery },
    problems: ["invalid-request", "dataset-failed"],
  });

const metrics = route({
  path: "metrics",
  summary: "Held-out metrics and confusion matrices",
  type: "application/json",
  schema: RunMetricsView.meta({ id: "RunMetrics" }),
  query: z.object({}),
});
const predictions = table(
  "predictions.csv",
  "Held-out images with true and predicted class",
  "`image,fold,true,predicted`, then a column `probability:<class>` per class: every metric can be recomputed from it.",
);
const labels = table(
  "labels.csv",
  "Pseudo-labels of the training images, epoch by epoch",
  "`image,fold,epoch,class,subclass,label,distance`: what each epoch was trained on. Epochs for which every class was " +
    "whole are left out; when that is every epoch so far, there is no such result. Also for a run that goes on, as far as it is.",
);
const report = route({
  path: "report",
  summary: "The report, one self-contained HTML file",
  type: "text/html",
  schema: z.string(),
  query: z.object({}),
});

/** The report's scripts and styles are its own and inline; as a sandbox it can't use the API in the reader's name. */
const reportPolicy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; " +
  "img-src data:; font-src data:; sandbox allow-scripts allow-popups allow-downloads";

const noResult = (id: string, what: string, view: RunView) => {
  const state = view.state === "failed"
    ? `has failed: ${view.error?.message}`
    : view.state === "cancelled"
    ? "was cancelled"
    : `is ${view.state} (${view.step}): wait until it has completed`;
  return problem("no-result", `run '${id}' has no ${what}: it ${state}`);
};

/** Why a run has no pseudo-labels. */
const noLabels = (id: string, view: RunView) => {
  const { method, state } = view;
  const why = !usesClustering(method)
    ? `its method, ${method}, never divides a class`
    : !hasEnded(view)
    ? "no epoch has been trained on divided classes yet"
    : `no epoch was trained on divided classes before it ${state === "cancelled" ? "was cancelled" : state}`;
  return problem("no-result", `run '${id}' has no pseudo-labels: ${why}`);
};

/** The event log of a completed run. */
const completed = (id: string, what: string) =>
  Effect.gen(function* () {
    const { view, end, spec } = yield* knownRun(id);
    if (end?.event.type !== "run.completed") return yield* noResult(id, what, view);
    return { view, spec, end: end.event };
  });

const historyOf = (id: string) =>
  Effect.gen(function* () {
    const facts = yield* (yield* Bus).history(subjects.run(id));
    return facts.map(({ event }) => event);
  });

/**
 * Brings all these blobs into the cache, so that what is missing is found before the answer begins. `read` fetches one again
 * that is evicted meanwhile.
 */
const inCache = <A extends { readonly ref: BlobRef }>(parts: readonly A[]) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    return yield* Effect.forEach(
      parts,
      (part) =>
        Effect.as(
          Effect.scoped(blobs.file(part.ref)),
          { ...part, read: () => Effect.runPromise(blobs.get(part.ref)) },
        ),
      { concurrency: 4 },
    );
  });

type Read = () => Promise<Uint8Array>;

const readPredictions = async function* (folds: readonly { fold: number; read: Read }[]) {
  for (const { fold, read } of folds) yield { fold, predictions: decodePredictions(await read()) };
};

const readLabels = async function* (epochs: readonly { fold: number; epoch: number; read: Read }[]) {
  for (const { fold, epoch, read } of epochs) yield { fold, epoch, labels: decodeLabels(await read()) };
};

export const resultRoutes = (run: Run) => {
  const api = routes();
  const idOf = (c: { req: { valid(target: "param"): { id: string } } }) => c.req.valid("param").id;

  api.openapi(metrics, async (c) => {
    const id = idOf(c);
    const view = await run(Effect.gen(function* () {
      const { view } = yield* completed(id, "metrics");
      return runMetrics(yield* historyOf(id)) ?? (yield* noResult(id, "metrics", view));
    }));
    return c.json(view, 200);
  });

  api.openapi(predictions, (c) => {
    const id = idOf(c);
    const options = csvOptions(c.req.valid("query"));
    return run(Effect.gen(function* () {
      const { spec } = yield* completed(id, "predictions");
      const { folds } = runLog(yield* historyOf(id));
      const parts = folds.flatMap(({ fold, completed }) =>
        completed ? [{ fold, ref: completed.predictions }] : []
      );
      const manifest = yield* (yield* ReadModel).manifest(spec.manifest);
      const table = predictionsCsv(readPredictions(yield* inCache(parts)), manifest, options);
      return csvResponse(table, `${id}-predictions.csv`);
    }));
  });

  api.openapi(labels, (c) => {
    const id = idOf(c);
    const options = csvOptions(c.req.valid("query"));
    return run(Effect.gen(function* () {
      const { view, spec } = yield* knownRun(id);
      if (!usesClustering(view.method)) return yield* noLabels(id, view);
      const { folds } = runLog(yield* historyOf(id));
      const parts = folds.flatMap(({ epochs }) => epochs).flatMap((logged) => {
        const ref = labelsOf(logged);
        return ref ? [{ fold: logged.fold, epoch: logged.epoch, ref }] : [];
      });
      if (parts.length === 0) return yield* noLabels(id, view);
      const manifest = yield* (yield* ReadModel).manifest(spec.manifest);
      const table = labelsCsv(readLabels(yield* inCache(parts)), manifest, options);
      return csvResponse(table, `${id}-labels.csv`);
    }));
  });

  api.openapi(report, (c) => {
    const id = idOf(c);
    return run(
      Effect.gen(function* () {
        const { end } = yield* completed(id, "report");
        const path = yield* (yield* Blobs).file(end.report);
        const file = yield* Effect.promise(() => Deno.open(path));
        return new Response(file.readable, {
          headers: {
            "content-type": "text/html; charset=utf-8",
            "content-length": String(end.report.bytes),
            "content-security-policy": reportPolicy,
          },
        });
      }).pipe(Effect.scoped),
    );
  });
  return api;
};
