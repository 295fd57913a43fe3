import { Bus, KeyValue } from "@subtaxa/bus";
import { CONTRACT_VERSION, progressSubject, type RunView, subjects } from "@subtaxa/contracts";
import { Effect, Layer } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { problemIn, withGateway } from "./testing.ts";
import { ReadModel } from "./read_model.ts";
import { completed, factsOf, importTrees, metrics, requestOf, startRun } from "./testing_run.ts";

const idOf = async (response: Response) => {
  expect(response.status).toBe(202);
  const { id } = await response.json() as { id: string };
  expect(response.headers.get("location")).toBe(`/v1/runs/${id}`);
  return id;
};

Deno.test(
  "a run: one request per fold with defaults settled and the dataset pinned, listed at once, newest first",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const ids: string[] = [];
    for (const method of ["standard", "clustering", "triplet"]) {
      ids.unshift(await startRun(gateway, { method, folds: 2 }));
      // read your writes: no waiting, no retrying
      expect((await gateway.json<RunView[]>("/v1/runs")).map(({ id }) => id)).toEqual(ids);
    }
    const id = ids[1]!;
    const facts = await gateway.run(Effect.flatMap(Bus, (bus) => bus.history(subjects.run(id))));
    expect(facts.map(({ subject }) => subject)).toEqual([
      `subtaxa.run.requested.train.${id}.0`,
      `subtaxa.run.requested.train.${id}.1`,
    ]);
    const request = await requestOf(gateway, id, 1);
    expect(request).toMatchObject({ fold: 1, epoch: 0, spec: { classes: ["ash", "birch"], batchSize: 128 } });
    expect(request.spec.manifest.sha256).toMatch(/^[0-9a-f]{64}$/);
    const view = await gateway.json<RunView>(`/v1/runs/${id}`);
    expect(view).toMatchObject({
      id,
      state: "queued",
      dataset: "trees",
      method: "clustering",
      folds: 2,
      epochs: 2,
    });

    await gateway.post(`/v1/runs/${id}/cancel`).then((response) => response.body?.cancel());
    const list = (query: string) =>
      gateway.json<RunView[]>(`/v1/runs?${query}`).then((runs) => runs.map(({ id }) => id));
    expect(await list("state=cancelled")).toEqual([id]);
    expect(await list("state=queued&dataset=trees&limit=1")).toEqual([ids[0]]);
    expect(await list("dataset=others")).toEqual([]);
    const errors = (await problemIn(await gateway.get("/v1/runs?limit=0&state=done&sort=up"), 422)).errors!;
    expect(errors.map(({ field }) => field).sort()).toEqual(["limit", "sort", "state"]);
  }),
);

Deno.test(
  "an Idempotency-Key starts one run, also when two requests come at once; with another body it is refused",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const post = (body: Record<string, unknown>, key: string) =>
      gateway.post("/v1/runs", body, { "idempotency-key": key });
    const body = { dataset: "trees", epochs: 3 };
    const id = await idOf(await post(body, "one"));
    expect(await idOf(await post(body, "one"))).toBe(id);
    // the same request in other words
    expect(await idOf(await post({ epochs: 3, seed: 0, dataset: "trees" }, "one"))).toBe(id);
    const problem = await problemIn(await post({ ...body, epochs: 4 }, "one"), 422);
    expect(problem.type).toBe("urn:subtaxa:problem:key-reused");
    expect(problem.detail).toContain(id);
    expect(await idOf(await post(body, "other"))).not.toBe(id);

    const same = await Promise.all(
      [1, 2, 3, 4].map(async () => await idOf(await post({ ...body, folds: 3 }, "race"))),
    );
    expect(new Set(same).size).toBe(1);
    const facts = await gateway.run(Effect.flatMap(Bus, (bus) => bus.history(subjects.run(same[0]!))));
    expect(facts.map(({ event }) => "fold" in event && event.fold)).toEqual([0, 1, 2]);
    expect((await gateway.json<RunView[]>("/v1/runs")).length).toBe(3);
    await problemIn(await gateway.post("/v1/runs", body, { "idempotency-key": "x".repeat(256) }), 422);
  }),
);

Deno.test(
  "runs that can't be: no such dataset, more folds than a class has images",
  withGateway(async (gateway) => {
    const nobody = await problemIn(await gateway.post("/v1/runs", { dataset: "trees" }), 404);
    expect(nobody.errors).toEqual([{ field: "dataset", message: expect.stringContaining("'trees'") }]);
    await importTrees(gateway);
    const problem = await problemIn(await gateway.post("/v1/runs", { dataset: "trees", folds: 9 }), 422);
    expect(problem.type).toBe("urn:subtaxa:problem:impossible-split");
    expect(problem.detail).toMatch(/class '\w+' has 8 images, too few for 9 folds.*at most 8 folds/);
    await idOf(await gateway.post("/v1/runs", { dataset: "trees", folds: 8 }));
  }),
);

Deno.test(
  "cancelling: once, again, and too late",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    for (let i = 0; i < 2; i++) {
      const response = await gateway.post(`/v1/runs/${id}/cancel`);
      expect(response.status).toBe(202);
      expect(await response.json()).toMatchObject({ id, state: "cancelled" });
    }
    expect((await gateway.run(Effect.flatMap(Bus, (bus) => bus.history(subjects.end(id))))).length).toBe(1);

    const late = await startRun(gateway);
    await gateway.publish({
      type: "run.failed",
      v: CONTRACT_VERSION,
      at: new Date().toISOString(),
      runId: late,
      error: { tag: "X/Y", message: "out of memory" },
    });
    const problem = await problemIn(await gateway.post(`/v1/runs/${late}/cancel`), 409);
    expect(problem.detail).toMatch(/has failed: out of memory/);
    await problemIn(await gateway.post("/v1/runs/nobody/cancel"), 404);
  }),
);

Deno.test(
  "the view of a run follows its facts and its progress, and is the same after a restart",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const request = await requestOf(gateway, id);
    const facts = await factsOf(gateway, request);
    const until = async (wanted: (view: RunView) => boolean) => {
      for (let i = 0; i < 200; i++) {
        const view = await gateway.json<RunView>(`/v1/runs/${id}`);
        if (wanted(view)) return view;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error("the view never became what was wanted");
    };
    const progress = { runId: id, fold: 0, epoch: 1, step: "train", done: 3, total: 9, loss: 2 };
    await gateway.run(Effect.flatMap(Bus, (bus) => bus.progress(progressSubject.run(id), progress)));
    expect(await until(({ state }) => state === "running")).toMatchObject({
      epoch: 1,
      step: expect.stringMatching(/3.*9/),
    });
    await gateway.publish(...facts, await completed(gateway, request));
    const view = await until(({ state }) => state === "completed");
    expect(view).toMatchObject({
      metrics,
      epoch: 2,
      epochsDone: 2,
      clusterer: { name: "xmeans", parameters: {}, versions: ["1.2.0"] },
      classes: [{ name: "ash", clusters: 2 }, { name: "birch", clusters: 1 }],
    });
    expect(view.history.map(({ epoch, clusters }) => [epoch, clusters])).toEqual([
      [1, { ash: 1, birch: 1 }],
      [2, { ash: 2, birch: 1 }],
    ]);
    const [brief] = await gateway.json<RunView[]>("/v1/runs");
    const { settings, ...rest } = view;
    expect(brief).toEqual({ ...rest, history: [] });
    expect(await gateway.json(`/v1/runs/${id}?history=false`)).toEqual(brief);
    expect(await gateway.json("/v1/runs?history=true")).toEqual([view]);
    const { manifest: _m, pretrained: _p, classes: _c, ...asked } = request.spec;
    expect(settings).toEqual(asked);
    const restarted = Effect.flatMap(ReadModel, (model) => model.run(id)).pipe(
      Effect.provide(Layer.fresh(ReadModel.layer)),
    );
    expect(JSON.parse(JSON.stringify((await gateway.run(restarted))!.view))).toEqual(view);
  }),
);

Deno.test(
  "an unexpected error is a problem that the log explains under the same id, and tells nothing else",
  withGateway(async (gateway) => {
    const key = `runs.${createHash("sha256").update("spoilt").digest("hex")}`;
    await gateway.run(Effect.flatMap(KeyValue, (kv) => kv.claim(key, "no JSON")));
    const answer = await gateway.post("/v1/runs", { dataset: "d" }, { "idempotency-key": "spoilt" });
    const requestId = answer.headers.get("x-request-id")!;
    const problem = await problemIn(answer, 500);
    expect(problem.instance).toBe(`urn:uuid:${requestId}`);
    expect(JSON.stringify(problem)).not.toMatch(/SyntaxError|at .*\.ts|no JSON/);
    expect(gateway.logs.filter((line) => line.includes(requestId))).toEqual([
      expect.stringMatching(/SyntaxError: .*start_run\.ts/s),
    ]);
  }),
);

Deno.test(
  "a clusterer that nobody serves is refused where the method needs one, and the known ones are named",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const start = (method: string, clusterer: string) =>
      gateway.post("/v1/runs", { dataset: "trees", method, clusterer });
    for (const method of ["clustering", "clustering+triplet"]) {
      const problem = await problemIn(await start(method, "nope"), 422);
      expect([problem.type, problem.errors]).toEqual([
        "urn:subtaxa:problem:unknown-clusterer",
        [{
          field: "clusterer",
          message: "no clusterer named 'nope' is known here; there are: spectral, xmeans",
        }],
      ]);
      await idOf(await start(method, "spectral"));
    }
    await idOf(await start("triplet", "nope"));
  }, { clusterers: ["xmeans", "spectral"] }),
);
