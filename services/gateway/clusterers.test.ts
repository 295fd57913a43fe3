import { Bus, Connection } from "@subtaxa/bus";
import {
  type ClustererAnnouncement,
  type ClustererView,
  CONTRACT_VERSION,
  discoverySubject,
  type RunView,
} from "@subtaxa/contracts";
import { Effect, Fiber } from "effect";
import { expect } from "expect";
import { Absences } from "./absences.ts";
import { Clusterers } from "./clusterers.ts";
import { unfitParameters } from "./check_clusterer.ts";
import { type Gateway, problemIn, withGateway } from "./testing.ts";
import { factsOf, importTrees, requestOf, startRun } from "./testing_run.ts";
import { watchClusterers } from "./watch_clusterers.ts";

const parameters = {
  type: "object",
  properties: {
    depth: { type: "integer", minimum: 1, default: 3 },
    linkage: { type: "object", properties: { kind: { enum: ["ward", "single"] } } },
  },
  additionalProperties: false,
};

const newer = {
  ...parameters,
  properties: { ...parameters.properties, restarts: { type: "integer", default: 5 } },
};

const announcement = (more: Partial<ClustererAnnouncement> = {}): ClustererAnnouncement => ({
  v: CONTRACT_VERSION,
  name: "spectral",
  version: "1.9.0",
  instance: crypto.randomUUID(),
  description: "by the Laplacian's eigenvectors",
  parameters,
  ...more,
});

/** Lets instances answer while `use` goes on. */
const whileAlive = async (gateway: Gateway, alive: readonly unknown[], use: () => Promise<void>) => {
  const fiber = await gateway.run(Effect.flatMap(Bus, (bus) =>
    Effect.forkDetach(
      Effect.all(alive.map((one) => bus.answer(discoverySubject.clusterer, one)), {
        concurrency: "unbounded",
      }),
    )));
  try {
    await use();
  } finally {
    await gateway.run(Fiber.interrupt(fiber));
  }
};

/** Asks until the run is as wanted. */
const seen = async (gateway: Gateway, id: string, wanted: (view: RunView) => boolean): Promise<RunView> => {
  for (;;) {
    const view = await gateway.json<RunView>(`/v1/runs/${id}`);
    if (wanted(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

Deno.test(
  "clusterers: the versions that are alive, with the newest one's parameters; later what was last announced; strangers left out",
  withGateway(async (gateway) => {
    expect(await gateway.json("/v1/clusterers")).toEqual([
      { name: "spectral", instances: 0, versions: [] },
      { name: "xmeans", instances: 0, versions: [] },
    ]);
    const newest = { name: "spectral", version: "1.10.0", description: "newest", parameters };
    const alive = [
      announcement(),
      announcement(newest),
      announcement(),
      announcement({ name: "unheard-of" }),
      { hello: "world" },
    ];
    await whileAlive(gateway, alive, async () => {
      expect(await gateway.json<ClustererView[]>("/v1/clusterers")).toEqual([
        {
          ...newest,
          instances: 3,
          versions: [{ version: "1.10.0", instances: 1 }, { version: "1.9.0", instances: 2 }],
        },
        {
          name: "unheard-of",
          version: "1.9.0",
          description: "by the Laplacian's eigenvectors",
          parameters,
          instances: 1,
          versions: [{ version: "1.9.0", instances: 1 }],
        },
        { name: "xmeans", instances: 0, versions: [] },
      ]);
    });
    expect(await gateway.run(Effect.flatMap(Clusterers, ({ alive }) => alive))).toEqual([]);
    const listed = () => gateway.json<ClustererView[]>("/v1/clusterers").then(([spectral]) => spectral);
    expect(await listed()).toEqual({ ...newest, instances: 0, versions: [] });
    // an older one takes its place, as when a roll-out is taken back; the watch sees it without being asked
    const watcher = await gateway.run(Effect.forkDetach(watchClusterers));
    await whileAlive(gateway, [announcement()], async () => {
      while (
        (await gateway.run(Effect.flatMap(Clusterers, ({ last }) => last("spectral"))))?.version !== "1.9.0"
      ) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });
    await gateway.run(Fiber.interrupt(watcher));
    expect(await listed()).toMatchObject({ version: "1.9.0", instances: 0 });
  }, { clusterers: ["xmeans", "spectral"] }),
);

Deno.test(
  "parameters must fit every live version's schema: a problem names the field; they ride in the run's settings",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const start = (parameters: unknown) =>
      gateway.post("/v1/runs", { dataset: "trees", clusterer: "spectral", parameters });
    const older = announcement({ version: "1.8.0", parameters: { type: "object", maxProperties: 1 } });
    await whileAlive(gateway, [announcement(), older], async () => {
      const { errors, detail } = await problemIn(
        await start({ depth: 0, breadth: 2, linkage: { kind: "none" } }),
        422,
      );
      expect(errors!.map(({ field }) => field).sort()).toEqual([
        "parameters.breadth",
        "parameters.depth",
        "parameters.linkage.kind",
      ]);
      expect(detail).toContain("parameters.depth: must be >= 1");
      // fits the newer version alone
      await problemIn(await start({ depth: 4, linkage: {} }), 422);
      await problemIn(await start([1]), 422);
      const id = await startRun(gateway, { clusterer: "spectral", parameters: { depth: 4 } });
      expect((await requestOf(gateway, id)).spec.parameters).toEqual({ depth: 4 });
    });
    await whileAlive(
      gateway,
      [announcement(), announcement({ version: "1.10.0", parameters: newer })],
      async () => {
        const id = await startRun(gateway, { clusterer: "spectral" });
        expect((await requestOf(gateway, id)).spec.parameters).toEqual({});
      },
    );
    await whileAlive(gateway, [announcement({ version: "1.10.0", parameters: newer })], async () => {
      const id = await startRun(gateway, { clusterer: "spectral", parameters: { depth: 4 } });
      expect((await requestOf(gateway, id)).spec.parameters).toEqual({ depth: 4 });
    });
    // with none alive, the last one's word holds
    const { errors } = await problemIn(await start({ depth: 0 }), 422);
    expect(errors).toEqual([{ field: "parameters.depth", message: "must be >= 1" }]);
    const absent = await startRun(gateway, { clusterer: "spectral", parameters: { restarts: 2 } });
    expect((await gateway.json<RunView>(`/v1/runs/${absent}`)).clusterer)
      .toEqual({ name: "spectral", parameters: { restarts: 2 }, versions: [] });
    await whileAlive(gateway, [announcement({ parameters: { type: "nonsense" } })], async () => {
      expect((await problemIn(await start({ depth: 4 }), 422)).errors![0]!.field).toBe("clusterer");
    });
    // nobody has ever been seen: the clusterer checks them itself when it comes
    const unseen = await startRun(gateway, { parameters: { depth: 0 } });
    expect((await requestOf(gateway, unseen)).spec.parameters).toEqual({ depth: 0 });
  }, { clusterers: ["xmeans", "spectral"] }),
);

Deno.test("a schema with references is followed, one that refers elsewhere is none", () => {
  const referring = { $defs: { n: { type: "number" } }, properties: { a: { $ref: "#/$defs/n" } } };
  expect(unfitParameters(referring, { a: 1 })).toEqual([]);
  expect(unfitParameters(referring, { a: "1" })).toEqual([{
    field: "parameters.a",
    message: "must be number",
  }]);
  expect(unfitParameters({ $ref: "other.json" }, {})).toBeNull();
});

Deno.test(
  "a run whose clusterer is away says so; it goes on saying so after a restart, and fails when the time is over",
  withGateway(async (gateway) => {
    await importTrees(gateway);
    const id = await startRun(gateway);
    const other = await startRun(gateway);
    const watch = () => gateway.run(Effect.forkDetach(watchClusterers));
    const watcher = await watch();
    const [trained, validated] = await factsOf(gateway, await requestOf(gateway, id));
    await gateway.publish(trained!, validated!);
    await gateway.publish((await factsOf(gateway, await requestOf(gateway, other)))[0]!);
    const waiting = "waiting for the clusterer 'xmeans': no instance is alive";
    // until it fails is what there is to say of time; the other one goes on, and tells how long it takes
    const view = await seen(gateway, id, ({ step }) => step === waiting);
    expect(view.secondsLeft).toBeUndefined();
    const note = () => gateway.run(Effect.flatMap(Absences, (absences) => absences.get("xmeans")));
    const begun = Math.max(Date.parse((await note())!), Date.parse(validated!.at));
    expect(Date.parse(view.waitsUntil!)).toBe(begun + 4_000);
    expect(await gateway.json<RunView>(`/v1/runs/${other}`)).not.toHaveProperty("waitsUntil");
    expect((await gateway.json<RunView>(`/v1/runs/${other}`)).step).toBe("validating epoch 1");

    // it comes back: the clock starts anew when it is gone again
    await whileAlive(gateway, [announcement({ name: "xmeans" })], async () => {
      const { waitsUntil, secondsLeft } = await seen(gateway, id, ({ step }) => step !== waiting);
      expect([waitsUntil, typeof secondsLeft]).toEqual([undefined, "number"]);
    });
    await seen(gateway, id, ({ step }) => step === waiting);
    const since = Date.parse((await note())!);
    // SUBTAXA_CLUSTERER_TIMEOUT may be days: the note must not vanish before, which would start the clock anew
    const bucket = await gateway.run(
      Effect.flatMap(Connection, ({ jsm }) => Effect.promise(() => jsm.streams.info("KV_subtaxa-absences"))),
    );
    expect([bucket.state.messages > 0, bucket.config.max_age]).toEqual([true, 0]);
    await gateway.run(Fiber.interrupt(watcher));
    const again = await watch();

    const failed = await seen(gateway, id, ({ state }) => state === "failed");
    expect(failed.error).toEqual({
      tag: "ClustererError/NoInstance",
      message: expect.stringContaining("no instance of the clusterer 'xmeans' has been alive for 4s"),
    });
    expect(Date.parse(failed.finishedAt!) - since).toBeGreaterThanOrEqual(4_000);
    expect(Date.parse((await note())!)).toBe(since);
    expect((await gateway.json<RunView>(`/v1/runs/${other}`)).state).toBe("running");
    await gateway.run(Fiber.interrupt(again));
  }, { env: { SUBTAXA_CLUSTERER_TIMEOUT: "4 seconds" } }),
);
