import { createRoute, z } from "@hono/zod-openapi";
import { ClustererView } from "@subtaxa/contracts";
import { listClusterers } from "../clusterers.ts";
import { problemResponses } from "../problem.ts";
import { everywhere, routes } from "./routes.ts";
import type { Run } from "./runtime.ts";

const list = createRoute({
  method: "get",
  path: "/v1/clusterers",
  tags: ["clusterers"],
  summary: "Clusterers, with the versions that are alive and the parameters that a run may give them",
  responses: {
    200: {
      description: "Clusterers, by name",
      content: { "application/json": { schema: z.array(ClustererView.meta({ id: "Clusterer" })) } },
    },
    ...problemResponses(...everywhere),
  },
});

export const clustererRoutes = (run: Run) =>
  routes().openapi(list, async (c) => c.json(await run(listClusterers), 200));
