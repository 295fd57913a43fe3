import {
  divide,
  progressSubject,
  type RunMetricsView,
  type RunView,
  type ShardEvent,
} from "@subtaxa/contracts";
import { Bus, Connection } from "@subtaxa/bus";
import { Effect } from "effect";
import { expect } from "expect";
import { RunEventView } from "./event_view.ts";
import { messages, problemIn, take, withGateway } from "./testing.ts";
import { completed, factsOf, importTrees, metrics, requestOf, startRun } from "./testing_run.ts";

Deno.test(
  "a run's events, live and resumed after every one of them: no gap, no duplicate, an end",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const path = `/v1/runs/${id}/events`;
    const request = await requestOf(gateway, id);
    const facts = [...await factsOf(gateway, request), await completed(gateway, request)];
    const live = take(messages(gateway, path));
    const bystander = await startRun(gateway); // its facts belong to another story
    const seqs: number[] = [];
    for (const fact of facts) {
      seqs.push(...await gateway.publish(fact));
      const progress = { runId: id, fold: 0, epoch: 1, step: "train", done: 1, total: 2 };
      await gateway.run(Effect.flatMap(Bus, (bus) => bus.progress(progressSubject.run(id), progress)));
    }
    const told = await live;
    const lasting = told.filter(({ event }) => event !== "progress");
    expect(lasting.map(({ event }) => event)).toEqual(["run.requested", ...facts.map(({ type }) => type)]);
    expect(lasting.slice(1).map((message) => Number(message.id))).toEqual(seqs);
    expect(told.filter(({ event }) => event === "progress").every((message) => !message.id)).toBe(true);
    expect(told.some(({ data }) => data.includes(bystander))).toBe(false);
    for (const { data } of lasting) {
      expect(RunEventView.parse(JSON.parse(data))).toEqual(JSON.parse(data));
      expect(data).not.toMatch(/"spec"|"state"|sha256/);
    }
    const validated = JSON.parse(lasting.find(({ event }) => event === "epoch.validated")!.data);
    expect(validated).toMatchObject({ falseNegatives: { ash: 0.5, birch: 0 }, bestEpoch: 1, metrics });
    expect(JSON.parse(lasting[0]!.data)).toMatchObject({ type: "run.requested", epochs: 2 });
    const relabelled = JSON.parse(lasting.find(({ event }) => event === "dataset.relabelled")!.data);
    expect(relabelled).toMatchObject({
      clusters: { ash: 2, birch: 1 },
      allowedClusters: { ash: 2, birch: 1 },
      clusterer: { name: "xmeans", version: "1.2.0" },
    });

    for (const [i, { id: lastId }] of lasting.slice(0, -1).entries()) {
      const rest = await take(messages(gateway, path, { "last-event-id": lastId! }));
      expect(rest).toEqual(lasting.slice(i + 1));
    }
    expect((await gateway.get(path, { "last-event-id": lasting.at(-1)!.id! })).status).toBe(204);
    // ids that never were: everything, rather than nothing for ever
    for (const id of ["999999", "-1", "x"]) {
      expect((await take(messages(gateway, path, { "last-event-id": id }))).length).toBe(lasting.length);
    }
    await problemIn(await gateway.get("/v1/runs/nobody/events"), 404);
  }),
);

Deno.test(
  "a step that is spread over instances is told as one: its shards add up, and their facts are left out",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const request = await requestOf(gateway, id);
    const [trained, ...others] = await factsOf(gateway, request);
    const shard = (number: number, portions: number): ShardEvent => ({
      ...{ v: request.v, type: "shard.advanced", at: request.at, runId: id, fold: 0, epoch: 1 },
      ...{ of: "epoch.trained", shard: number, division: divide(640, 10) },
      portions: Array.from({ length: portions }, () => request.spec.manifest),
    });
    const told = take(messages(gateway, `/v1/runs/${id}/events`));
    await gateway.publish(trained!, shard(0, 0), shard(1, 0), shard(0, 1));
    const progress = { runId: id, fold: 0, epoch: 1, step: "validate", done: 5, total: 64 };
    const part = { shard: 1, instance: "b", images: 10 };
    await gateway.run(
      Effect.flatMap(Bus, (bus) => bus.progress(progressSubject.run(id), { ...progress, part })),
    );
    for (let step = ""; !step.includes("batch 21 of 64");) {
      step = (await gateway.json<RunView>(`/v1/runs/${id}`)).step;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await gateway.publish(...others, await completed(gateway, request));
    const all = await told;
    expect(all.some(({ event }) => event === "shard.advanced")).toBe(false);
    const said = all.find(({ event }) => event === "progress")!;
    expect(JSON.parse(said.data)).toEqual({ ...progress, done: 21 });
  }),
);

Deno.test(
  "many readers that leave in the middle leave nothing behind",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const path = `/v1/runs/${await startRun(gateway)}/events`;
    /** Consumers of the stream that somebody still pulls from. */
    const followed = () =>
      gateway.run(Effect.flatMap(Connection, ({ jsm }) =>
        Effect.promise(async () => {
          const all = await Array.fromAsync(jsm.consumers.list("SUBTAXA"));
          return all.filter((consumer) => consumer.num_waiting > 0).length;
        })));
    const before = await followed();
    const open = messages(gateway, path);
    await open.next();
    expect(await followed()).toBe(before + 1);
    await open.return(undefined);
    await Promise.all(Array.from({ length: 20 }, () => take(messages(gateway, path), 1)));
    for (let i = 0; i < 50 && await followed() > before; i++) await new Promise((r) => setTimeout(r, 100));
    expect(await followed()).toBe(before);
    expect((await take(messages(gateway, path), 1))[0]!.event).toBe("run.requested");
  }),
);

Deno.test(
  "a HEAD of an event stream has its headers, and follows nothing",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const consumers = () =>
      gateway.run(
        Effect.flatMap(Connection, ({ jsm }) =>
          Effect.promise(async () =>
            (await Array.fromAsync(jsm.consumers.list("SUBTAXA"))).map(({ name }) =>
              name
            ).sort()
          )),
      );
    await gateway.get("/v1/datasets/trees/events").then((response) => response.text());
    const before = await consumers();
    for (const path of [`/v1/runs/${id}/events`, "/v1/datasets/trees/events"]) {
      const response = await fetch(gateway.base + path, { method: "HEAD" });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
      expect(await response.text()).toBe("");
    }
    // whatever the others began has begun before another stream is read to its end
    const bystander = await startRun(gateway);
    await (await gateway.post(`/v1/runs/${bystander}/cancel`)).text();
    await take(messages(gateway, `/v1/runs/${bystander}/events`));
    expect(await consumers()).toEqual(before);
  }),
);

Deno.test(
  "results: not before the run has completed, then metrics, tables and report",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const at = (name: string) => gateway.get(`/v1/runs/${id}/${name}`);
    const request = await requestOf(gateway, id);
    for (const name of ["metrics", "predictions.csv", "labels.csv", "report"]) {
      const problem = await problemIn(await at(name), 409);
      expect(problem.detail).toMatch(
        name === "labels.csv"
          ? /has no pseudo-labels: no epoch has been trained on divided classes yet/
          : /is queued \(waiting for a trainer\): wait until it has completed/,
      );
      await problemIn(await gateway.get(`/v1/runs/nobody/${name}`), 404);
    }
    const [first, ...rest] = await factsOf(gateway, request);
    await gateway.publish(first!); // trained on whole classes
    expect((await problemIn(await at("labels.csv"), 409)).detail).toMatch(/yet$/);
    await gateway.publish(...rest);
    const labels = await at("labels.csv"); // as far as it is
    expect(labels.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(labels.headers.get("content-disposition")).toBe(`attachment; filename="${id}-labels.csv"`);
    expect((await labels.text()).trim().split("\n")).toEqual([
      "image,fold,epoch,class,subclass,label,distance",
      "ash/000.png,0,2,ash,0,ash/0,0.5",
      "ash/001.png,0,2,ash,1,ash/1,0.25",
      "birch/000.png,0,2,birch,0,birch/0,0",
    ]);
    await problemIn(await at("report"), 409);

    await gateway.publish(await completed(gateway, request));
    await take(messages(gateway, `/v1/runs/${id}/events`));
    expect(await (await at("metrics")).json() as RunMetricsView).toEqual({
      id,
      metrics,
      classes: ["ash", "birch"],
      folds: [{ fold: 0, bestEpoch: 1, metrics, confusion: [[1, 0], [1, 0]] }],
    });
    expect((await (await at("predictions.csv")).text()).trim().split("\n")).toEqual([
      "image,fold,true,predicted,probability:ash,probability:birch",
      "ash/002.png,0,ash,ash,0.75,0.25",
      "birch/001.png,0,birch,ash,0.5,0.5",
    ]);
    const report = await at("report");
    expect(report.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(report.headers.get("content-security-policy")).toMatch(/default-src 'none';.*sandbox/);
    expect(await report.text()).toBe("<!doctype html><title>report</title>");
  }),
);

Deno.test(
  "pseudo-labels of a run whose method has none, or that ended before there were any: a sentence that says why",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const why = async (id: string) =>
      (await problemIn(await gateway.get(`/v1/runs/${id}/labels.csv`), 409)).detail;
    for (const method of ["standard", "triplet"]) {
      const id = await startRun(gateway, { method });
      expect(await why(id)).toBe(
        `run '${id}' has no pseudo-labels: its method, ${method}, never divides a class`,
      );
    }
    const id = await startRun(gateway);
    await (await gateway.post(`/v1/runs/${id}/cancel`)).text();
    expect(await why(id)).toBe(
      `run '${id}' has no pseudo-labels: no epoch was trained on divided classes before it was cancelled`,
    );
  }),
);
