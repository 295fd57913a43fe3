import { createRoute, z } from "@hono/zod-openapi";
import { Bus } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  DatasetProgress,
  DatasetRequest,
  DatasetView,
  progressSubject,
} from "@subtaxa/contracts";
import { rejectedCsv } from "@subtaxa/runs";
import { Effect, Semaphore } from "effect";
import { isDatasetEvent } from "../dataset_log.ts";
import { datasetEventView } from "../event_view.ts";
import { importableFolder } from "../importable.ts";
import { ReadModel } from "../read_model.ts";
import { csvOptions, csvQuery, csvResponse } from "./csv.ts";
import { jsonBody } from "./json_body.ts";
import { problem, problemResponses } from "../problem.ts";
import { everywhere, routes, withBody } from "./routes.ts";
import type { Run } from "./runtime.ts";
import { lastEventId, resumable, sendEvents, tell } from "./sse.ts";

const View = DatasetView.meta({ id: "Dataset" });
const tags = ["datasets"];
const params = z.object({ name: z.string() });

const list = createRoute({
  method: "get",
  path: "/v1/datasets",
  tags,
  summary: "All datasets, by name",
  responses: {
    200: { description: "Datasets", content: { "application/json": { schema: z.array(View) } } },
    ...problemResponses(...everywhere),
  },
});

const create = createRoute({
  method: "post",
  path: "/v1/datasets",
  tags,
  summary: "Import a folder of class folders",
  description: "A dataset that is ready may be imported again: new runs use what the new import found.",
  middleware: jsonBody,
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: DatasetRequest.meta({ id: "DatasetRequest" }) } },
    },
  },
  responses: {
    202: { description: "The import begins", content: { "application/json": { schema: View } } },
    ...problemResponses(...everywhere, ...withBody, "path-not-importable", "dataset-busy"),
  },
});

const show = createRoute({
  method: "get",
  path: "/v1/datasets/{name}",
  tags,
  summary: "One dataset: classes, counts, rejected files with reasons, warnings",
  description: "Of an import that has failed, what it had found by then.",
  request: { params },
  responses: {
    200: { description: "The dataset", content: { "application/json": { schema: View } } },
    ...problemResponses(...everywhere, "unknown-dataset"),
  },
});

const rejected = createRoute({
  method: "get",
  path: "/v1/datasets/{name}/rejected.csv",
  tags,
  summary: "Files and classes that the latest import left out, with reasons",
  description:
    "`file,reason,group`, sorted by file; also of an import that has failed. `group` is what the reason has in common with " +
    "those of other files.",
  request: { params, query: csvQuery },
  responses: {
    200: { description: "Rejected files", content: { "text/csv": { schema: z.string() } } },
    ...problemResponses(
      ...everywhere,
      "invalid-request",
      "unknown-dataset",
      "dataset-busy",
      "dataset-failed",
      "result-lost",
    ),
  },
});

const events = createRoute({
  method: "get",
  path: "/v1/datasets/{name}/events",
  tags,
  summary: "Server-Sent Events of the latest import",
  description:
    "Facts (`DatasetEvent`, with an id) and `progress` events (`DatasetProgress`, without one); ends with " +
    "the import. `Last-Event-ID` resumes; 204 when there is nothing left to send.",
  request: { params, headers: resumable },
  responses: {
    200: { description: "Events", content: { "text/event-stream": { schema: z.string() } } },
    204: { description: "The import has ended and the client knows it" },
    ...problemResponses(...everywhere, "unknown-dataset"),
  },
});

const busy = (name: string) =>
  problem("dataset-busy", `dataset '${name}' is being imported: wait until that has ended`);
const unknown = (name: string) =>
  problem("unknown-dataset", `there is no dataset '${name}': import it with POST /v1/datasets`);

export const datasetRoutes = (run: Run) => {
  const api = routes();
  /** One request at a time: two for one name must not both find it idle. */
  const turn = Semaphore.makeUnsafe(1);

  const known = (name: string) =>
    Effect.gen(function* () {
      const dataset = yield* (yield* ReadModel).dataset(name);
      return dataset ?? (yield* unknown(name));
    });

  api.openapi(
    list,
    async (c) => c.json([...await run(Effect.flatMap(ReadModel, (model) => model.datasets))], 200),
  );

  api.openapi(create, async (c) => {
    const { name, path, bitDepth, offset, pixelSize, ...settings } = c.req.valid("json");
    const view = await run(Effect.gen(function* () {
      const model = yield* ReadModel;
      const bus = yield* Bus;
      const folder = yield* importableFolder(path);
      const request = Effect.gen(function* () {
        if ((yield* model.dataset(name))?.view.state === "importing") {
          return yield* busy(name);
        }
        const { seq } = yield* bus.publish({
          type: "dataset.requested",
          v: CONTRACT_VERSION,
          at: new Date().toISOString(),
          dataset: name,
          path: folder,
          ...settings,
          bitDepth: bitDepth ?? null,
          offset: offset ?? null,
          pixelSize: pixelSize ?? null,
        });
        yield* model.seen(seq);
      });
      yield* turn.withPermits(1)(request);
      return (yield* known(name)).view;
    }));
    return c.json(view, 202, { Location: `/v1/datasets/${name}` });
  });

  api.openapi(show, async (c) => c.json((await run(known(c.req.valid("param").name))).view, 200));

  api.openapi(rejected, (c) => {
    const { name } = c.req.valid("param");
    return run(Effect.gen(function* () {
      const { log, view: { state, error } } = yield* known(name);
      if (state === "importing") return yield* busy(name);
      const report = yield* (yield* ReadModel).report(log);
      if (report) {
        const table = rejectedCsv(report.rejected, csvOptions(c.req.valid("query")));
        return csvResponse(table, `${name}-rejected.csv`);
      }
      return yield* problem(
        "dataset-failed",
        `dataset '${name}' has no list of rejected files, because its import failed without one: ${error?.message}`,
      );
    }));
  });

  api.openapi(events, async (c) => {
    const { name } = c.req.valid("param");
    const { log } = await run(known(name));
    const after = await run(lastEventId(c));
    if (log.end && after >= log.end.seq) return c.body(null, 204);
    const story = tell({
      filter: `subtaxa.dataset.*.*.${name}.*`,
      from: Math.max(log.from, after + 1),
      isPart: isDatasetEvent,
      isLast: ({ type }) => type !== "dataset.requested",
      view: datasetEventView,
      progress: { subject: progressSubject.dataset(name), schema: DatasetProgress, view: Effect.succeed },
    });
    return sendEvents(c, run, story);
  });
  return api;
};
