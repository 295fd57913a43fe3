import { DatasetView, RunView } from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { Effect, type Scope } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { z } from "zod";
import { drawDataset } from "../scripts/demo/images.ts";
import { type Manifest, render, type Rendered, toolsMissing } from "../scripts/deploy/mod.ts";
import { pythonWith } from "../scripts/python/mod.ts";
import { root, servicesOf, startStack } from "../scripts/stack/mod.ts";
import { json, post, until } from "./support.ts";

const missing = toolsMissing();

const ConfigMap = z.object({ data: z.object({ "nats.conf": z.string() }) });
const Secret = z.object({ data: z.record(z.string(), z.string().transform(atob)) });
const Workload = z.object({
  spec: z.object({
    replicas: z.number().optional(),
    template: z.object({
      spec: z.object({
        containers: z.tuple([z.object({
          env: z.array(z.object({
            name: z.string(),
            value: z.string().optional(),
            valueFrom: z.object({ secretKeyRef: z.object({ key: z.string() }).optional() }).optional(),
          })),
        })]),
      }),
    }),
  }),
});
const ScaledObject = z.object({
  spec: z.object({ triggers: z.tuple([z.object({ metadata: z.object({ consumer: z.string() }) })]) }),
});

const named = (manifests: readonly Manifest[], kind: string, name: string) =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name);

/** A container's environment as Kubernetes makes it: secrets, and $(NAME) of what comes before. */
const environment = (manifests: readonly Manifest[], kind: string, name: string): Record<string, string> => {
  const secret = Secret.parse(named(manifests, "Secret", "demo-subtaxa-nats")).data;
  const env: Record<string, string> = {};
  for (
    const { name: key, value, valueFrom } of Workload.parse(named(manifests, kind, name)).spec.template.spec
      .containers[0].env
  ) {
    if (valueFrom?.secretKeyRef) env[key] = secret[valueFrom.secretKeyRef.key]!;
    else if (value !== undefined) env[key] = value.replace(/\$\((\w+)\)/g, (_, other) => env[other] ?? "");
  }
  return env;
};

/** Free ports, all different. */
const freePorts = (count: number): number[] => {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
};

interface Server {
  readonly name: string;
  readonly port: number;
  readonly monitoring: number;
  readonly log: string;
}

/** The chart's NATS cluster as processes: its own configuration, with this machine's ports and folders. */
const startCluster = (
  manifests: readonly Manifest[],
  folder: string,
): Effect.Effect<Server[], never, Scope.Scope> =>
  Effect.gen(function* () {
    const conf = ConfigMap.parse(named(manifests, "ConfigMap", "demo-subtaxa-nats")).data["nats.conf"];
    const { replicas = 1 } = Workload.parse(named(manifests, "StatefulSet", "demo-subtaxa-nats")).spec;
    const ports = freePorts(3 * replicas);
    const at = (index: number) => ports.slice(3 * index, 3 * index + 3) as [number, number, number];
    const env = environment(manifests, "StatefulSet", "demo-subtaxa-nats");
    env.ROUTES = env.ROUTES!.replace(
      /demo-subtaxa-nats-(\d+)\.demo-subtaxa-nats-headless:6222/g,
      (_, index) => `127.0.0.1:${at(Number(index))[1]}`,
    );
    const servers = Array.from({ length: replicas }, (_, index): Server => ({
      name: `demo-subtaxa-nats-${index}`,
      port: at(index)[0],
      monitoring: at(index)[2],
      log: join(folder, `nats-${index}.log`),
    }));
    for (const [index, { name, log }] of servers.entries()) {
      const [client, route, monitoring] = at(index);
      const path = join(folder, `nats-${index}.conf`);
      const here = conf.replace("0.0.0.0:4222", `127.0.0.1:${client}`)
        .replace("0.0.0.0:6222", `127.0.0.1:${route}`)
        .replace("0.0.0.0:8222", `127.0.0.1:${monitoring}`)
        .replace("/tmp/nats.pid", join(folder, `nats-${index}.pid`))
        .replace(`store_dir: "/data"`, `store_dir: "${join(folder, name)}"`)
        .replace(/max_file_store: \S+/, "max_file_store: 1GB");
      yield* Effect.promise(() => Deno.writeTextFile(path, here));
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          new Deno.Command(natsServerPath(subtaxaHome(), currentPlatform()!), {
            args: ["--config", path, "--log", log],
            env: { ...env, SERVER_NAME: name },
            stdout: "null",
            stderr: "null",
          }).spawn()
        ),
        (child) =>
          Effect.promise(async () => {
            child.kill("SIGTERM");
            await child.status;
          }),
      );
    }
    return servers;
  });

const Jsz = z.object({
  meta_cluster: z.object({ cluster_size: z.number() }),
  account_details: z.array(z.object({
    name: z.string(),
    stream_detail: z.array(z.object({
      name: z.string(),
      consumer_detail: z.array(z.object({
        name: z.string(),
        num_pending: z.number(),
        num_ack_pending: z.number(),
        cluster: z.object({ leader: z.string() }),
      })).optional(),
    })).default([]),
  })).default([]),
});

const healthy = ({ monitoring }: Server) =>
  until(
    "a healthy server",
    () => fetch(`http://127.0.0.1:${monitoring}/healthz`).then((answer) => answer.text(), () => ""),
    (text) => text.includes(`"ok"`),
  );

/** What KEDA's scaler reads: all consumers of the facts that a server knows, with their leader and what waits. */
const consumersOf = async ({ monitoring }: Server) => {
  const answer = await fetch(`http://127.0.0.1:${monitoring}/jsz?acc=$G&consumers=true&config=true`);
  const { account_details, meta_cluster } = Jsz.parse(await answer.json());
  const streams = account_details.find(({ name }) => name === "$G")?.stream_detail ?? [];
  expect(meta_cluster.cluster_size).toBe(3);
  return streams.find(({ name }) => name === "SUBTAXA")?.consumer_detail ?? [];
};

/** What a server says to a client without credentials, in the protocol's own words. */
const greeting = async (port: number): Promise<string> => {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(`CONNECT {"verbose":false}\r\nPING\r\n`));
  return await new Response(connection.readable).text();
};

const scenario = (folder: string, { manifests }: Rendered) =>
  Effect.gen(function* () {
    const servers = yield* startCluster(manifests, folder);
    const secret = Secret.parse(named(manifests, "Secret", "demo-subtaxa-nats")).data;
    const [first] = servers as [Server, ...Server[]];
    const urlOf = (user: string) => `nats://${user}:${secret[user]}@127.0.0.1:${first.port}`;
    const userOf = (service: string) =>
      ({ clusterer: "clusterer-xmeans", "clusterer-kmeans": "clusterer-kmeans" })[service] ?? service;
    const services = servicesOf().map((service) => ({
      ...service,
      env: { NATS_URL: urlOf(userOf(service.name)), SUBTAXA_REPLICAS: "3" },
    }));

    // before anything has ever run, KEDA finds the consumer of every ScaledObject, empty; the servers are only starting now
    for (const { module, env } of services.filter(({ name }) => name !== "gateway")) {
      const { success, stdout, stderr } = yield* Effect.promise(() =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "-A", module],
          env: { ...env, SUBTAXA_DATA: folder, SUBTAXA_REGISTER_ONLY: "true" },
          stdout: "piped",
          stderr: "piped",
        }).output()
      );
      const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
      if (!success) throw new Error(`${module} could not register:\n${said}`);
    }
    // but for an image of one's own, which registers when it first runs
    const wanted = manifests.filter(({ kind }) => kind === "ScaledObject")
      .map((one) => ScaledObject.parse(one).spec.triggers[0].metadata.consumer)
      .filter((consumer) => consumer !== "clusterer-gmm").sort();
    for (const server of servers) {
      yield* healthy(server);
      const found = yield* until("all consumers", () =>
        consumersOf(server), (all) =>
        all.length >= wanted.length);
      expect(
        found.map(({ name }) =>
          name
        ).sort(),
      ).toEqual(wanted);
      for (const consumer of found) {
        expect(consumer.num_pending + consumer.num_ack_pending).toBe(0);
        expect(servers.map(({ name }) => name)).toContain(consumer.cluster.leader);
      }
      // no addresses for clients: so KEDA asks <server name>.<headless service>
      const varz = yield* Effect.promise(() => json(`http://127.0.0.1:${server.monitoring}/varz`));
      expect(varz).toMatchObject({ server_name: server.name });
      expect(varz).not.toHaveProperty("connect_urls");
    }

    const images = join(folder, "organisms");
    yield* drawDataset(images, { seed: 3, imagesPerClass: 20, side: 32 });
    const stack = yield* startStack({
      dataFolder: join(folder, "data"),
      port: 0,
      natsUrl: urlOf("gateway"),
      env: { SUBTAXA_DATA_ROOTS: folder },
      services,
    });
    yield* stack.ready;
    const python = yield* pythonWith(
      join(root, "services/clusterer-python/requirements.txt"),
      "clusterer-python",
    );
    const given = environment(manifests, "Deployment", "demo-subtaxa-clusterer-gmm");
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Deno.Command(python, {
          args: [join(root, "services/clusterer-python/clusterer.py")],
          // nothing but what the chart gives, with this machine's port
          clearEnv: true,
          env: {
            ...given,
            NATS_URL: given.NATS_URL!.replace("demo-subtaxa-nats:4222", `127.0.0.1:${first.port}`),
          },
          stdout: "null",
        }).spawn()
      ),
      (child) =>
        Effect.promise(async () => {
          child.kill("SIGTERM");
          expect((await child.status).code).toBe(0);
        }),
    );
    const api = `${stack.url}/v1`;
    yield* Effect.promise(() => post(`${api}/datasets`, { name: "organisms", path: images }));
    yield* until(
      "the import of the organisms",
      async () => DatasetView.parse(await json(`${api}/datasets/organisms`)),
      ({ state }) => state === "ready",
    );
    for (const clusterer of ["xmeans", "kmeans", "gmm"]) {
      const request = {
        dataset: "organisms",
        method: clusterer === "kmeans" ? "gs-trs" : "clustering+triplet",
        clusterer,
        imageSize: 32,
        epochs: 2,
        batchSize: 16,
        confusionThreshold: 0.01,
        minClusterSize: 4,
        seed: 1,
      };
      const { id } = (yield* Effect.promise(() => post(`${api}/runs`, request))) as { id: string };
      const run = yield* until(
        `the end of the run with ${clusterer}`,
        async () => RunView.parse(await json(`${api}/runs/${id}`)),
        ({ state }) => state === "completed" || state === "failed",
      );
      expect([run.state, run.error, run.clusterer?.name]).toEqual(["completed", undefined, clusterer]);
    }
    for (const { log } of servers) {
      const refused = (yield* Effect.promise(() => Deno.readTextFile(log))).split("\n")
        .filter((line) => /violation|authorization/i.test(line));
      expect(refused).toEqual([]);
    }

    // who doesn't say the password stays out, and nobody says what isn't theirs
    const address = `127.0.0.1:${first.port}`;
    yield* Effect.promise(async () => {
      expect(await greeting(first.port)).toMatch(/"auth_required":true[^]*-ERR 'Authorization Violation'/);
      const trainer = await connect({ servers: address, user: "trainer", pass: secret.trainer! });
      const refusals: string[] = [];
      const watching = (async () => {
        for await (const status of trainer.status()) {
          if (status.type === "error") refusals.push(String(status.error));
        }
      })();
      for (
        const subject of [
          "subtaxa.run.requested.train.r.0",
          "subtaxa.run.completed.none.r.all",
          "$SYS.REQ.SERVER.PING",
        ]
      ) {
        trainer.publish(subject, "{}");
      }
      await trainer.flush();
      await expect((await jetstreamManager(trainer)).streams.delete("SUBTAXA")).rejects.toThrow();
      await trainer.close();
      await watching;
      expect(refusals.filter((text) => /permission/i.test(text)).length).toBeGreaterThanOrEqual(3);
    });
  });

Deno.test({
  name:
    "the chart's NATS: three servers, a user for each service who may do what it does and no more, seen by KEDA",
  ignore: missing !== undefined,
  fn: async () => {
    const gmm = { image: "example/subtaxa-clusterer-python:0.1.0" };
    const answer = (await Effect.runPromise(render({ all: { clusterers: { gmm } } }))).get("all");
    if (!answer || "error" in answer) throw new Error(answer?.error);
    const folder = await Deno.makeTempDir({ prefix: "subtaxa-chart-nats-" });
    try {
      await Effect.runPromise(Effect.scoped(scenario(folder, answer)).pipe(Effect.timeout("5 minutes")));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
