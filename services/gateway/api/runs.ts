import { createRoute, z } from "@hono/zod-openapi";
import { Bus } from "@subtaxa/bus";
import {
  CONTRACT_VERSION,
  isShardEvent,
  isTerminal,
  progressSubject,
  RunProgress,
  RunRequest,
  RunState,
  RunView,
  subjects,
} from "@subtaxa/contracts";
import { Effect } from "effect";
import { isDatasetEvent } from "../dataset_log.ts";
import { runEventView } from "../event_view.ts";
import { ReadModel } from "../read_model.ts";
import { startRun } from "../start_run.ts";
import { jsonBody } from "./json_body.ts";
import { problem, problemResponses } from "../problem.ts";
import { everywhere, routes, withBody } from "./routes.ts";
import type { Run } from "./runtime.ts";
import { lastEventId, resumable, sendEvents, tell } from "./sse.ts";

const View = RunView.meta({ id: "Run" });
const tags = ["runs"];
export const params = z.object({ id: z.string() });

const history = z.enum(["true", "false"]).describe(
  "false: without the epochs and settings, so that it stays small",
);

const brief = ({ settings: _, ...view }: RunView): RunView => ({ ...view, history: [] });

const list = createRoute({
  method: "get",
  path: "/v1/runs",
  tags,
  summary: "Runs, newest first",
  request: {
    query: z.strictObject({
      dataset: z.string().optional(),
      state: RunState.optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(50),
      history: history.default("false"),
    }),
  },
  responses: {
    200: { description: "Runs", content: { "application/json": { schema: z.array(View) } } },
    ...problemResponses(...everywhere, "invalid-request"),
  },
});

const create = createRoute({
  method: "post",
  path: "/v1/runs",
  tags,
  summary: "Start a run",
  middleware: jsonBody,
  request: {
    headers: z.object({
      "idempotency-key": z.string().min(1).max(255).optional()
        .describe("a repetition of the request with the same key starts nothing new; remembered for a day"),
    }),
    body: {
      required: true,
      content: { "application/json": { schema: RunRequest.meta({ id: "RunRequest" }) } },
    },
  },
  responses: {
    202: {
      description: "The run is queued",
      content: { "application/json": { schema: z.object({ id: z.string() }) } },
    },
    ...problemResponses(
      ...everywhere,
      ...withBody,
      "unknown-dataset",
      "dataset-busy",
      "dataset-failed",
      "unknown-clusterer",
      "path-not-importable",
      "unusable-weights",
      "impossible-split",
      "too-many-classes",
      "weights-not-fetched",
      "key-reused",
    ),
  },
});

const show = createRoute({
  method: "get",
  path: "/v1/runs/{id}",
  tags,
  summary: "One run: state, epochs so far, clusters per class, time left",
  request: { params, query: z.strictObject({ history: history.default("true") }) },
  responses: {
    200: { description: "The run", content: { "application/json": { schema: View } } },
    ...problemResponses(...everywhere, "invalid-request", "unknown-run"),
  },
});

const events = createRoute({
  method: "get",
  path: "/v1/runs/{id}/events",
  tags,
  summary: "Server-Sent Events of a run",
  description:
    "Every fact of the run (`RunEvent`, with the sequence in the event log as id), but for those that spread a step over " +
    "instances, and `progress` events (`RunProgress`, without an id), which are of the whole step. Ends after the terminal event. `Last-Event-ID` resumes after that fact; 204 when " +
    "there is nothing left to send.",
  request: { params, headers: resumable },
  responses: {
    200: { description: "Events", content: { "text/event-stream": { schema: z.string() } } },
    204: { description: "The run has ended and the client knows it" },
    ...problemResponses(...everywhere, "unknown-run"),
  },
});

const cancel = createRoute({
  method: "post",
  path: "/v1/runs/{id}/cancel",
  tags,
  summary: "Stop a run within one batch",
  description: "Cancelling a cancelled run again is fine.",
  request: { params },
  responses: {
    202: { description: "The run is cancelled", content: { "application/json": { schema: View } } },
    ...problemResponses(...everywhere, "cross-site", "unknown-run", "run-ended"),
  },
});

/** The run, or the problem that there is none. */
export const knownRun = (id: string) =>
  Effect.gen(function* () {
    const entry = yield* (yield* ReadModel).run(id);
    return entry ?? (yield* problem("unknown-run", `there is no run '${id}'`));
  });

const cancelRun = (id: string) =>
  Effect.gen(function* () {
    const { end } = yield* knownRun(id);
    if (!end) {
      // the ends of a run share one message id: the first to arrive stands, whichever it is
      const at = new Date().toISOString();
      const { seq } = yield* (yield* Bus).publish({
        type: "run.cancelled",
        v: CONTRACT_VERSION,
        at,
        runId: id,
      });
      yield* (yield* ReadModel).seen(seq);
    }
    const { view } = yield* knownRun(id);
    if (view.state === "cancelled") return view;
    const how = view.state === "failed" ? `failed: ${view.error?.message}` : view.state;
    return yield* problem(
      "run-ended",
      `run '${id}' can't be cancelled: it has ${how}, at ${view.finishedAt}`,
    );
  });

export const runRoutes = (run: Run) => {
  const api = routes();

  api.openapi(list, async (c) => {
    const { dataset, state, limit, history } = c.req.valid("query");
    const runs = (await run(Effect.flatMap(ReadModel, (model) => model.runs)))
      .filter((view) => (!dataset || view.dataset === dataset) && (!state || view.state === state))
      .slice(0, limit);
    return c.json(history === "true" ? runs : runs.map(brief), 200);
  });

  api.openapi(create, async (c) => {
    const id = await run(startRun(c.req.valid("json"), c.req.valid("header")["idempotency-key"]));
    return c.json({ id }, 202, { Location: `/v1/runs/${id}` });
  });

  api.openapi(show, async (c) => {
    const { view } = await run(knownRun(c.req.valid("param").id));
    return c.json(c.req.valid("query").history === "true" ? view : brief(view), 200);
  });

  api.openapi(events, async (c) => {
    const { id } = c.req.valid("param");
    const { end } = await run(knownRun(id));
    const after = await run(lastEventId(c));
    if (end && after >= end.seq) return c.body(null, 204);
    const story = tell({
      filter: subjects.run(id),
      from: after + 1,
      isPart: (event) => !isDatasetEvent(event) && !isShardEvent(event),
      isLast: isTerminal,
      view: runEventView,
      progress: {
        subject: progressSubject.run(id),
        schema: RunProgress,
        view: (progress) => Effect.flatMap(ReadModel, (model) => model.whole(progress)),
      },
    });
    return sendEvents(c, run, story);
  });

  api.openapi(cancel, async (c) => c.json(await run(cancelRun(c.req.valid("param").id)), 202));
  return api;
};
