import { OpenAPIHono } from "@hono/zod-openapi";
import { invalidRequest } from "../problem.ts";

/** Variables of a request. */
export interface Env {
  Variables: { requestId: string };
}

/** An empty set of routes whose schemas answer with problems. */
export const routes = () =>
  new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw invalidRequest(result.error);
    },
  });

/** Problems that every route under /v1 may answer with. */
export const everywhere = ["unauthorized", "foreign-host", "internal", "unavailable"] as const;
/** Those of a route that takes JSON. */
export const withBody = [
  "malformed-json",
  "cross-site",
  "body-too-large",
  "unsupported-type",
  "invalid-request",
] as const;
