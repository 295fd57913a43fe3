import { Parser } from "@asyncapi/parser";
import { Connection, FACTS, startNatsServer } from "@subtaxa/bus";
import {
  ClustererAnnouncement,
  encodeLabels,
  Event,
  initialFoldState,
  RunRequest,
  specOf,
} from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { Ajv2020 } from "ajv/2020";
import { ConfigProvider, Effect, Layer } from "effect";
import { expect } from "expect";
import { join, relative } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { root, runArguments } from "../stack/mod.ts";
import { services } from "./asyncapi.ts";
import { asyncApi, folder, generated } from "./mod.ts";

const filesBelow = (path: string): string[] =>
  [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(join(path, name)) : [relative(folder, join(path, name))]
  );

Deno.test("what is committed is what the code says; otherwise: deno task contract", async () => {
  expect(filesBelow(folder).sort()).toEqual([...generated().keys()].sort());
  for (const [path, text] of generated()) {
    expect([path, await Deno.readTextFile(join(folder, path))]).toEqual([path, text]);
  }
});

Deno.test({
  name: "the AsyncAPI document is valid, and every operation's channel carries its message",
  sanitizeOps: false, // the parser's own caches
  sanitizeResources: false,
  fn: async () => {
    const { document, diagnostics } = await new Parser().parse(JSON.stringify(asyncApi()));
    expect(diagnostics.filter(({ severity }) => severity === 0)).toEqual([]);
    expect(document!.version()).toBe("3.0.0");
    const received = document!.operations().filterByReceive().map((operation) => operation.id());
    expect(received).toContain("clustererTakesFeaturesExtracted");
    for (const operation of document!.operations()) {
      expect(operation.channels().all()).toHaveLength(1);
      expect(operation.messages().all().length).toBe(1);
    }
    expect(document!.allMessages().all().length).toBeGreaterThanOrEqual(Event.options.length);
  },
});

Deno.test("the JSON Schemas take what the code takes, and refuse what it refuses", () => {
  const read = (path: string) => JSON.parse(generated().get(path)!);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const fits = ajv.compile(read("events/run.failed.schema.json"));
  const failed = {
    type: "run.failed",
    v: 1,
    at: "2026-01-01T00:00:00.000Z",
    runId: "r",
    error: { tag: "A/B", message: "m" },
  };
  expect([fits(failed), Event.safeParse(failed).success]).toEqual([true, true]);
  const wrong = { ...failed, v: 2 };
  expect([fits(wrong), Event.safeParse(wrong).success]).toEqual([false, false]);
  const more = { ...failed, hint: 1 };
  expect([fits(more), Event.safeParse(more).success]).toEqual([true, true]);
  const announcement = {
    ...{ v: 1, name: "x", version: "1", instance: "i", description: "d" },
    parameters: z.toJSONSchema(z.strictObject({ depth: z.number().default(1) }), { io: "input" }),
  };
  const announces = ajv.compile(read("discovery/clusterer.schema.json"));
  expect([announces(announcement), ClustererAnnouncement.safeParse(announcement).success]).toEqual([
    true,
    true,
  ]);
  const labels = read("artifacts/labels.metadata.schema.json");
  const bytes = encodeLabels({
    image: Uint32Array.of(1),
    class: Uint16Array.of(0),
    cluster: Uint16Array.of(0),
    distance: Float32Array.of(0),
    subclasses: [{ class: 0, id: 0, from: 0 }],
    highestIds: [0],
  });
  const metadata = /\{"artifact".*?\]\}/.exec(new TextDecoder("latin1").decode(bytes))![0];
  expect(ajv.compile(labels)(JSON.parse(metadata))).toBe(true);
});

Deno.test("fields that are not known fit the schema, and are handed on in spec and state; what is required is required", () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const fits = ajv.compile(JSON.parse(generated().get("events/features.extracted.schema.json")!));
  const blob = { key: "k", sha256: "0".repeat(64), bytes: 1, hint: 1 };
  const classes = ["a", "b"];
  const spec = specOf(RunRequest.parse({ dataset: "d" }), { manifest: blob, classes });
  const state = initialFoldState(classes);
  const event = {
    ...{ type: "features.extracted", v: 1, at: "2026-01-01T00:00:00.000Z", runId: "r", fold: 0, epoch: 1 },
    spec: { ...spec, hint: 1 },
    state: {
      ...state,
      ...{ labels: blob, best: { epoch: 1, fScore: 1, checkpoint: blob, labels: null, hint: 1 }, hint: 1 },
      classes: state.classes.map((one) => ({ ...one, hint: 1 })),
    },
    features: blob,
    images: blob,
  };
  expect(fits(event)).toBe(true);
  expect(Event.parse(event)).toEqual(event);
  const { images: _, ...without } = event;
  expect([fits(without), Event.safeParse(without).success]).toEqual([false, false]);
});

/** The filters of every durable consumer that the services register on a server of their own, by the service. */
const registered = (folder: string) =>
  Effect.gen(function* () {
    const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
    const { url } = yield* startNatsServer({ binary, folder });
    const env = { NATS_URL: url, SUBTAXA_DATA: folder, SUBTAXA_REGISTER_ONLY: "true" };
    for (const service of Object.keys(services)) {
      const { code, stderr } = yield* Effect.promise(() =>
        new Deno.Command(Deno.execPath(), {
          args: runArguments(join(root, "services", service, "main.ts")),
          env,
        }).output()
      );
      expect([service, code, new TextDecoder().decode(stderr)]).toEqual([service, 0, expect.anything()]);
    }
    const config = ConfigProvider.layer(ConfigProvider.fromUnknown(env));
    return yield* Effect.gen(function* () {
      const { jsm } = yield* Connection;
      return yield* Effect.promise(() => Array.fromAsync(jsm.consumers.list(FACTS)));
    }).pipe(Effect.provide(Connection.layer("test").pipe(Layer.provide(config))));
  });

Deno.test("services take the events that the document says, and may publish in a cluster what it says", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-contract-" });
  try {
    const consumers = await Effect.runPromise(Effect.scoped(registered(folder)));
    const serviceOf = (durable: string) =>
      durable === "importer" ? "gateway" : durable.startsWith("clusterer-") ? "clusterer" : durable;
    const taken = consumers.map(({ name, config: { filter_subject, filter_subjects = [] } }) => [
      serviceOf(name),
      [
        ...new Set(
          [...filter_subject ? [filter_subject] : [], ...filter_subjects]
            .map((filter) => filter.split(".").slice(1, 3).join(".")),
        ),
      ].sort(),
    ]);
    expect(Object.fromEntries(taken)).toEqual(
      Object.fromEntries(Object.entries(services).map(([name, { takes }]) => [name, [...takes].sort()])),
    );
    const template = await Deno.readTextFile(join(root, "deploy/helm/subtaxa/templates/_nats.tpl"));
    const facts = /define "subtaxa\.facts" -\}\}\n([^]*?)\{\{- end/.exec(template)![1]!;
    const allowed = z.record(z.string(), z.array(z.string())).parse(parse(facts));
    for (const [name, { publishes }] of Object.entries(services)) {
      expect([name, [...publishes].sort()]).toEqual([name, [...allowed[name]!, "run.failed"].sort()]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
