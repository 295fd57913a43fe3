import { Context, Effect, Layer, Metric } from "effect";
import type { Context as HonoContext } from "hono";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { routePath } from "hono/route";
import { BusError } from "@subtaxa/bus";
import { DatasetError } from "@subtaxa/dataset";
import type { Fetch } from "@subtaxa/service";
import { DatasetProgress, RunProgress } from "@subtaxa/contracts";
import { DatasetEventView, RunEventView } from "../event_view.ts";
import { Settings } from "../settings.ts";
import { guard, ownName, sameSite, sessionRoutes } from "./auth.ts";
import { clustererRoutes } from "./clusterers.ts";
import { datasetRoutes } from "./datasets.ts";
import { fileRoutes } from "./files.ts";
import { ofBusError, problem, ProblemError, problemResponse } from "../problem.ts";
import { resultRoutes } from "./results.ts";
import { type Env, routes } from "./routes.ts";
import { runRoutes } from "./runs.ts";
import { makeRun, type Run } from "./runtime.ts";

const description = {
  openapi: "3.1.0",
  info: {
    title: "Subtaxa",
    version: "1",
    description:
      "Imports image collections, trains classifiers that split the classes they miss, and reports. Errors are " +
      "problem details (RFC 9457) with a `type` that names the problem.",
  },
  security: [{ token: [] }, {}],
};

const requests = Metric.counter("http_requests_total", {
  description: "Requests answered, by method, route and status",
  incremental: true,
});

/** Those of RFC 9110 and 5789: what else callers send as a method must not make a time series each. */
const methods = new Set([
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"],
]);

/** What an error is answered with; `unexpected`: its cause belongs into the log. */
const problemOf = (error: unknown): { readonly error: ProblemError; readonly unexpected: boolean } => {
  if (error instanceof ProblemError) return { error, unexpected: false };
  if (error instanceof BusError) return { error: ofBusError(error), unexpected: true };
  if (error instanceof DatasetError) {
    return { error: problem("dataset-failed", error.message), unexpected: true };
  }
  if (error instanceof HTTPException && error.status === 415) {
    return { error: problem("unsupported-type", "send application/json"), unexpected: false };
  }
  return {
    error: problem(
      "internal",
      "an unexpected error: the gateway's log tells more under this problem's instance",
    ),
    unexpected: true,
  };
};

const makeApp = (run: Run, token: string | null, files: Awaited<Effect.Success<typeof fileRoutes>>) => {
  const app = routes();
  const answer = (c: HonoContext<Env>, error: ProblemError) => problemResponse(error, c.get("requestId"));

  app.use(async (c, next) => {
    const requestId = crypto.randomUUID();
    c.set("requestId", requestId);
    await next();
    const { headers, status } = c.res;
    headers.set("x-request-id", requestId);
    headers.set("x-content-type-options", "nosniff");
    headers.set("referrer-policy", "no-referrer");
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
    if (!headers.has("content-security-policy")) {
      headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    }
    const method = methods.has(c.req.method) ? c.req.method : "_OTHER";
    const attributes = { method, route: routePath(c, -1), status: String(status) };
    await run(Metric.update(Metric.withAttributes(requests, attributes), 1));
  });
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (c, methods) => {
      const allow = methods.join(", ");
      const message = `${c.req.path} knows ${allow}, not ${c.req.method}`;
      return answer(c, problem("method-not-allowed", message, { headers: { allow } }));
    },
  }));
  app.use(ownName(token));
  app.use(sameSite);
  app.use(guard(token));
  app.notFound((c) =>
    answer(c, problem("unknown-route", `there is nothing at ${c.req.path}: /docs lists what there is`))
  );
  app.onError(async (cause, c) => {
    const { error, unexpected } = problemOf(cause);
    if (unexpected) {
      const line = error.reason._tag === "internal" ? `unexpected error: ${cause}` : error.message;
      await run(
        Effect.logError(line).pipe(Effect.annotateLogs({
          requestId: c.get("requestId"),
          method: c.req.method,
          path: c.req.path,
          stack: cause.stack ?? "",
        })),
      );
    }
    return answer(c, error);
  });

  for (const part of [clustererRoutes(run), datasetRoutes(run), runRoutes(run), resultRoutes(run)]) {
    app.route("/", part);
  }
  app.route("/", sessionRoutes(token));
  app.route("/", files);
  app.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  for (
    const [name, schema] of Object.entries({
      RunEvent: RunEventView,
      RunProgress: RunProgress.meta({ id: "RunProgress" }),
      DatasetEvent: DatasetEventView,
      DatasetProgress: DatasetProgress.meta({ id: "DatasetProgress" }),
    })
  ) app.openAPIRegistry.register(name, schema.clone());
  app.doc31("/openapi.json", description);
  return app;
};

/** The HTTP interface. Its requests and event streams end with its layer. */
export class Api extends Context.Service<Api, { readonly fetch: Fetch }>()("subtaxa/gateway/Api") {
  static readonly layer = Layer.effect(
    Api,
    Effect.gen(function* () {
      const app = makeApp(yield* makeRun, (yield* Settings).token, yield* fileRoutes);
      return Api.of({ fetch: (request) => app.fetch(request) });
    }),
  );
}
