import { Bus, Connection } from "@subtaxa/bus";
import { CONTRACT_VERSION, type Event, initialFoldState, RunRequest, specOf } from "@subtaxa/contracts";
import { parser } from "@prometheus-io/lezer-promql";
import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { type Family, figuresOf, parseFigures } from "../scripts/cli/mod.ts";
import { root, startOwnStack } from "../scripts/stack/mod.ts";
import { until } from "./support.ts";

const classes = ["a", "b"];
const runRequested = (runId: string): Event => ({
  type: "run.requested",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  runId,
  fold: 0,
  epoch: 0,
  spec: specOf(RunRequest.parse({ dataset: "d", method: "standard" }), {
    manifest: { key: "k", sha256: "0".repeat(64), bytes: 0 },
    classes,
  }),
  state: initialFoldState(classes),
});

const figures = async (port: number): Promise<readonly Family[]> =>
  parseFigures(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());

const subtaxa = async (dataFolder: string, ...args: string[]): Promise<string> => {
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", join(root, "scripts/subtaxa.ts"), ...args],
    env: { SUBTAXA_DATA: dataFolder, NO_COLOR: "1" },
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
};

/**
 * The gateway and two services that pass messages on without tensors: what they expose, and what `subtaxa top` shows, while
 * one run has come to a stop after an epoch and another one is being trained.
 */
const observed = (folder: string) =>
  Effect.gen(function* () {
    const relay = join(root, "shared/service/testdata/relay.ts");
    const stack = yield* startOwnStack({
      dataFolder: folder,
      env: { SUBTAXA_TOKEN: "secret" },
      services: [
        { name: "gateway", module: join(root, "services/gateway/main.ts") },
        { name: "trainer", module: relay, env: { RELAY: "trainer" } },
        { name: "evaluator", module: relay, env: { RELAY: "evaluator" } },
      ],
    });
    yield* stack.ready;
    const env = ConfigProvider.layer(ConfigProvider.fromUnknown({ NATS_URL: stack.natsUrl }));
    const layer = Bus.layer.pipe(Layer.provideMerge(Connection.layer("test").pipe(Layer.provide(env))));
    const portOf = (service: string) => stack.processes().find((one) => one.service === service)!.port;
    yield* Effect.gen(function* () {
      const bus = yield* Bus;
      yield* bus.publish(runRequested("relayed"));
      yield* until(
        "the relayed epoch",
        async () => figuresOf(await figures(portOf("trainer")), "subtaxa_messages_total"),
        (all) => all.some(({ labels }) => labels.type === "epoch.validated" && labels.outcome === "done"),
      );
      yield* bus.publish(runRequested("held"));
    }).pipe(Effect.provide(layer));
    const gateway = yield* until(
      "the gateway's figures of the held run",
      () => figures(portOf("gateway")),
      (all) =>
        figuresOf(all, "subtaxa_runs").some(({ labels, value }) => labels.state === "running" && value > 0) &&
        figuresOf(all, "subtaxa_consumer_ack_pending_messages").some(({ labels, value }) =>
          labels.consumer === "trainer" && value === 1
        ) &&
        // between two of its requests, an idle instance has none at the server for a moment
        figuresOf(all, "subtaxa_consumer_waiting_pulls").some(({ labels, value }) =>
          labels.consumer === "evaluator" && value === 1
        ),
    );
    const services = yield* Effect.promise(() =>
      Promise.all(["trainer", "evaluator"].map((name) => figures(portOf(name))))
    );
    const top = yield* Effect.promise(() => subtaxa(folder, "--token", "secret", "top", "--once"));
    const json = yield* Effect.promise(() => subtaxa(folder, "--token", "secret", "top", "--once", "--json"));
    // as from another machine: nothing was started on this folder
    const elsewhere = join(folder, "elsewhere");
    const remote = ["--url", stack.url, "--token", "secret", "top", "--once"];
    const away = {
      top: yield* Effect.promise(() => subtaxa(elsewhere, ...remote)),
      json: JSON.parse(yield* Effect.promise(() => subtaxa(elsewhere, ...remote, "--json"))) as unknown,
    };
    return { families: [gateway, ...services].flat(), top, json: JSON.parse(json) as unknown, away };
  });

/** What a PromQL expression reads: metrics with the labels that they are chosen by, and labels to group by. Throws where it is none. */
const readBy = (expression: string) => {
  // Grafana's variable stands for a duration
  const text = expression.replaceAll("$__rate_interval", "5m");
  const metrics: { readonly name: string; readonly labels: string[] }[] = [];
  const grouping: string[] = [];
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      const word = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text}`);
      if (type.name === "Identifier") metrics.push({ name: word, labels: [] });
      if (type.name !== "LabelName") return;
      if (node.parent?.name === "GroupingLabels") grouping.push(word);
      else metrics.at(-1)?.labels.push(word);
    },
  });
  return { metrics, grouping };
};

const Alerts = z.object({
  groups: z.array(z.object({
    name: z.string(),
    rules: z.array(z.object({
      alert: z.string(),
      expr: z.string(),
      for: z.string().optional(),
      labels: z.object({ severity: z.enum(["warning", "critical"]) }),
      annotations: z.object({ summary: z.string(), description: z.string() }),
    })),
  })),
});
const Dashboard = z.object({
  uid: z.string(),
  panels: z.array(z.object({
    id: z.number(),
    title: z.string(),
    gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
    targets: z.array(z.object({ refId: z.string(), expr: z.string() })).min(1),
  })),
});

Deno.test("what services expose is Prometheus', dashboard and alerts read only that, and top shows it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-observed-" });
  try {
    const { families, top, json, away } = await Effect.runPromise(Effect.scoped(observed(folder)));

    const exposed = new Map<string, Set<string>>();
    for (const { name, help, type, figures } of families) {
      expect(name).toMatch(/^subtaxa_[a-z]+(_[a-z]+)*$/);
      expect(help).not.toBe("");
      expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
      for (const figure of figures) {
        exposed.set(
          figure.name,
          new Set([...exposed.get(figure.name) ?? [], ...Object.keys(figure.labels), "instance"]),
        );
      }
      if (type !== "histogram") continue;
      const all = figures.filter((figure) => figure.labels.le === "+Inf").map(({ value }) => value);
      expect(all).toEqual(
        figuresOf(families, `${name}_count`).flatMap((one) => figures.includes(one) ? [one.value] : []),
      );
    }
    for (
      const [name, value] of [
        ["subtaxa_dead_letters", 0],
        ["subtaxa_blob_sent_bytes_total", 1000],
        ["subtaxa_step_loss", 0.5],
        ["subtaxa_step_images_per_second", 250],
      ] as const
    ) expect(figuresOf(families, name).map(({ value }) => value)).toContain(value);

    const here = (name: string) => Deno.readTextFileSync(join(root, "deploy/observability", name));
    const alerts = Alerts.parse(parse(here("alerts.yaml"))).groups.flatMap(({ rules }) => rules);
    const dashboard = Dashboard.parse(JSON.parse(here("dashboard.json")));
    const expressions = [
      ...alerts.map(({ expr }) => expr),
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
    for (const expression of expressions) {
      const { metrics, grouping } = readBy(expression);
      expect(metrics.length).toBeGreaterThan(0);
      for (const { name, labels } of metrics) {
        expect([...exposed.keys()]).toContain(name);
        for (const label of labels) expect([name, ...exposed.get(name)!]).toContain(label);
      }
      const known = metrics.flatMap(({ name }) => [...exposed.get(name)!]);
      for (const label of grouping) expect([expression, ...known]).toContain(label);
    }
    for (
      const wrong of ["a 1", "# TYPE a counter\na x\n", "# TYPE a gauge\nb 1\n", "# TYPE a gauge\na{b=c} 1\n"]
    ) {
      expect(() => parseFigures(wrong)).toThrow();
    }
    expect(() => readBy("sum(rate(x[5m])")).toThrow("no PromQL");
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);

    const consumers = [
      { consumer: "evaluator", pending: 0, ackPending: 0 },
      { consumer: "importer", pending: 0, ackPending: 0 },
      { consumer: "trainer", pending: 0, ackPending: 1, idle: 0 },
    ];
    expect(away.json).toMatchObject({
      services: [],
      runs: [{ id: "held" }, { id: "relayed", state: "running" }],
      consumers,
    });
    expect(away.top).not.toMatch(/^service/m);
    expect(away.top).toMatch(/^held .*training epoch 1 \(batch 1 of 2\)/m);
    expect(away.top).toMatch(/^trainer +0 +1 +0$/m);
    expect(json).toMatchObject({
      services: [
        { service: "nats", state: "ready", working: [] },
        { service: "gateway", state: "ready", working: [] },
        { service: "trainer", state: "ready", working: ["run.requested"], imagesPerSecond: 250 },
        { service: "evaluator", state: "ready", working: [], imagesPerSecond: 0 },
      ],
      runs: [{ id: "held" }, { id: "relayed", state: "running" }],
      consumers,
    });
    expect(top).toMatch(/^trainer +\d+ +ready +run\.requested +250$/m);
    expect(top).toMatch(/^held .*training epoch 1 \(batch 1 of 2\)/m);
    expect(top).toMatch(/^trainer +0 +1 +0$/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
