import type { RunMetricsView } from "@subtaxa/contracts";
import { metricsOf } from "@subtaxa/metrics";
import { Effect } from "effect";
import { expect } from "expect";
import { collect } from "./collect.ts";
import { plantedRun } from "./testing.ts";

const confusion = [[9, 1], [2, 8]];
const metrics: RunMetricsView = {
  id: "r",
  metrics: metricsOf(confusion),
  folds: [{ fold: 0, bestEpoch: 1, metrics: metricsOf(confusion), confusion }],
  classes: ["copepod", "detritus"],
};
const view = plantedRun({ id: "r", state: "completed", method: "clustering", folds: 1, epochsDone: 1 });

/** What a gateway answers for the pseudo-labels of a completed run that it refuses to give. */
const withRefusal = async (
  kind: string,
  status: number,
  use: (target: { readonly url: string }) => Promise<void>,
): Promise<void> => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => undefined }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/v1/runs/r/metrics") return Response.json(metrics);
    if (pathname === "/v1/runs/r") return Response.json(view);
    const problem = { type: `urn:subtaxa:problem:${kind}`, title: kind, status, detail: `of ${pathname}` };
    return Response.json(problem, { status, headers: { "content-type": "application/problem+json" } });
  });
  try {
    await use({ url: `http://127.0.0.1:${server.addr.port}` });
  } finally {
    await server.shutdown();
  }
};

const run = { method: "clustering", id: "r" } as const;

Deno.test("a run that never divided a class has no pseudo-labels, and no agreement with groups", () =>
  withRefusal("no-result", 409, async (target) => {
    const { agreement, metrics: collected } = await Effect.runPromise(collect(target, run, "__"));
    expect(agreement).toEqual([]);
    expect(collected).toEqual(metrics);
  }));

Deno.test("pseudo-labels that were deleted, and a run that is gone, are no normal outcome", async () => {
  for (const [kind, status] of [["result-lost", 410], ["unknown-run", 404]] as const) {
    await withRefusal(kind, status, async (target) => {
      const { message } = await Effect.runPromise(Effect.flip(collect(target, run, "__")));
      expect(message).toBe(`${kind}: of /v1/runs/r/labels.csv`);
    });
  }
});
