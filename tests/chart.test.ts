import { DatasetView, RunView } from "@subtaxa/contracts";
import { uncaught } from "@subtaxa/service";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { jetstreamManager } from "@nats-io/jetstream";
import { type NatsConnection, PermissionViolationError } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { Effect, type Scope } from "effect";
import { expect } from "expect";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { drawDataset } from "../scripts/demo/images.ts";
import { type Manifest, render, type Rendered, toolsMissing } from "../scripts/deploy/mod.ts";
import { pythonWith } from "../scripts/python/mod.ts";
import { root, servicesOf, startStack } from "../scripts/stack/mod.ts";
import { json, post, until, type WaitedInVain } from "./support.ts";

const missing = toolsMissing();

const ConfigMap = z.object({ data: z.record(z.string(), z.string()) });
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

const Job = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(z.object({
          name: z.string(),
          args: z.array(z.string()),
          env: z.array(z.object({ name: z.string(), value: z.string().optional() })),
        })),
      }),
    }),
  }),
});

/** What the registering Job runs, but for the address of NATS: the user's name, a service, its environment. */
const registering = (manifests: readonly Manifest[]) =>
  Job.parse(named(manifests, "Job", "demo-subtaxa-register-1")).spec.template.spec.containers
    .map(({ env, ...container }) => ({
      ...container,
      env: Object.fromEntries(env.flatMap(({ name, value }) => value === undefined ? [] : [[name, value]])),
    }));

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
  readonly route: number;
  readonly monitoring: number;
  readonly log: string;
}

/** A program that ends with the scope. */
const spawned = (program: string, options: Deno.CommandOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => new Deno.Command(program, { stdout: "null", stderr: "null", ...options }).spawn()),
    (child) =>
      Effect.promise(async () => {
        child.kill("SIGTERM");
        await child.status;
      }),
  );

/** Puts what the users' volume of NATS's Pods holds into a folder; the passwords are those of `secret`. */
const mountUsers = async (
  manifests: readonly Manifest[],
  secret: Readonly<Record<string, string>>,
  folder: string,
) => {
  await Deno.mkdir(folder, { recursive: true });
  for (const [user, password] of Object.entries(secret)) {
    await Deno.writeTextFile(join(folder, user), password);
  }
  const { data } = ConfigMap.parse(named(manifests, "ConfigMap", "demo-subtaxa-nats-users"));
  await Deno.writeTextFile(join(folder, "users.conf"), data["users.conf"]!);
};

/** The chart's NATS cluster as processes: its own configuration and script, with this machine's ports and folders. */
const startCluster = (
  manifests: readonly Manifest[],
  folder: string,
): Effect.Effect<Server[], WaitedInVain, Scope.Scope> =>
  Effect.gen(function* () {
    const { data } = ConfigMap.parse(named(manifests, "ConfigMap", "demo-subtaxa-nats"));
    const [conf, script] = [data["nats.conf"]!, join(folder, "users.sh")];
    yield* Effect.promise(() => Deno.writeTextFile(script, data["users.sh"]!));
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
      route: at(index)[1],
      monitoring: at(index)[2],
      log: join(folder, `nats-${index}.log`),
    }));
    for (const [index, { name, log }] of servers.entries()) {
      const [client, route, monitoring] = at(index);
      const path = join(folder, `nats-${index}.conf`);
      const run = join(folder, `run-${index}`);
      const here = conf.replace("0.0.0.0:4222", `127.0.0.1:${client}`)
        .replace("0.0.0.0:6222", `127.0.0.1:${route}`)
        .replace("0.0.0.0:8222", `127.0.0.1:${monitoring}`)
        .replace("/run/nats/nats.pid", join(run, "nats.pid"))
        .replace("include ../../run/nats/", `include ./run-${index}/`)
        .replace(`store_dir: "/data"`, `store_dir: "${join(folder, name)}"`)
        .replace(/max_file_store: \S+/, "max_file_store: 1GB");
      yield* Effect.promise(async () => {
        await Deno.mkdir(run);
        await Deno.writeTextFile(path, here);
      });
      yield* spawned("/bin/sh", { args: [script, join(folder, "users"), run, "0.2"] });
      yield* until(
        "NATS's users",
        () => Promise.resolve(existsSync(join(run, "users.conf"))),
        (there) => there,
      );
      yield* spawned(natsServerPath(subtaxaHome(), currentPlatform()!), {
        args: ["--config", path, "--log", log],
        env: { ...env, SERVER_NAME: name },
      });
    }
    return servers;
  });

const Varz = z.object({ cluster: z.object({ urls: z.array(z.string()) }) });
const Connz = z.object({
  connections: z.array(z.object({ cid: z.number(), authorized_user: z.string().default("") })),
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

/** What each user tries in vain. */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  trainer: [
    "subtaxa.run.requested.train.r.0",
    "subtaxa.run.completed.none.r.all",
    "$SYS.REQ.SERVER.PING",
    "$JS.API.STREAM.DELETE.SUBTAXA",
    "$JS.API.STREAM.PURGE.SUBTAXA",
    "$JS.API.STREAM.MSG.DELETE.SUBTAXA",
    "$JS.API.STREAM.UPDATE.SUBTAXA",
    "$JS.API.CONSUMER.DELETE.SUBTAXA.evaluator",
    "$JS.API.CONSUMER.CREATE.SUBTAXA.evaluator",
    "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.evaluator",
    "$JS.ACK.SUBTAXA.evaluator.1.1.1.1.1",
    "$KV.subtaxa-requests.key",
  ],
  "clusterer-gmm": [
    "subtaxa.epoch.trained.validate.r.0",
    "subtaxa.fold.completed.join.r.0",
    "$JS.API.STREAM.DELETE.OBJ_subtaxa-blobs",
    "$JS.API.CONSUMER.DURABLE.CREATE.SUBTAXA.clusterer-xmeans",
    "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.clusterer-xmeans",
    "$JS.API.CONSUMER.DELETE.SUBTAXA.clusterer-gmm",
    "$JS.ACK.SUBTAXA.clusterer-xmeans.1.1.1.1.1",
  ],
  gateway: [
    "subtaxa.epoch.trained.validate.r.0",
    "$JS.API.STREAM.DELETE.KV_subtaxa-requests",
    "$JS.API.CONSUMER.DELETE.SUBTAXA.trainer",
    "$JS.API.CONSUMER.CREATE.SUBTAXA.clusterer-gmm",
    "$JS.API.CONSUMER.CREATE.SUBTAXA.clusterer-gmm.subtaxa.run.requested.gmm.r.0",
    "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.trainer",
  ],
  evaluator: [
    "$JS.API.CONSUMER.DELETE.SUBTAXA.importer",
    "$JS.API.CONSUMER.DELETE.SUBTAXA.evaluator",
    "$JS.API.CONSUMER.MSG.NEXT.SUBTAXA.trainer",
    "$JS.ACK.SUBTAXA.trainer.1.1.1.1.1",
  ],
};

const scenario = (folder: string, { manifests }: Rendered) =>
  Effect.gen(function* () {
    const secret = Secret.parse(named(manifests, "Secret", "demo-subtaxa-nats")).data;
    yield* Effect.promise(() => mountUsers(manifests, secret, join(folder, "users")));
    const servers = yield* startCluster(manifests, folder);
    const [first] = servers as [Server, ...Server[]];
    const urlOf = (user: string) => `nats://${user}:${secret[user]}@127.0.0.1:${first.port}`;
    const userOf = (service: string) =>
      ({ clusterer: "clusterer-xmeans", "clusterer-kmeans": "clusterer-kmeans" })[service] ?? service;
    const services = servicesOf().map((service) => ({
      ...service,
      env: { NATS_URL: urlOf(userOf(service.name)), SUBTAXA_REPLICAS: "3" },
    }));

    // before anything has ever run, KEDA finds the consumer of every ScaledObject, empty; the servers are only starting now
    for (const { name, args: [service = ""], env } of registering(manifests)) {
      const { success, stdout, stderr } = yield* Effect.promise(() =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "--quiet", "-A", join(root, "services", service, "main.ts")],
          env: { ...env, NATS_URL: urlOf(name), SUBTAXA_DATA: folder },
          stdout: "piped",
          stderr: "piped",
        }).output()
      );
      const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
      if (!success) throw new Error(`${name} could not be registered:\n${said}`);
    }
    const wanted = manifests.filter(({ kind }) => kind === "ScaledObject")
      .map((one) => ScaledObject.parse(one).spec.triggers[0].metadata.consumer).sort();
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
      // and it looks for the leader at each of these, so all servers must be among them
      expect(Varz.parse(varz).cluster.urls.sort()).toEqual(
        servers.map(({ route }) => `127.0.0.1:${route}`).sort(),
      );
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

    const connections = () =>
      Effect.promise(async () => {
        const all = await Promise.all(
          servers.map(({ monitoring }) => json(`http://127.0.0.1:${monitoring}/connz?auth=true`)),
        );
        return all.flatMap((one, server) =>
          Connz.parse(one).connections.map(({ cid, authorized_user }) =>
            `${server} ${cid} ${authorized_user}`
          )
        ).sort();
      });
    const before = yield* connections();
    expect(new Set(before.map((one) => one.split(" ")[2]))).toEqual(
      new Set(Object.keys(secret).filter((user) => user !== "route")),
    );

    // who doesn't say the password stays out, and nobody says what isn't theirs
    const address = `127.0.0.1:${first.port}`;
    yield* Effect.promise(async () => {
      expect(await greeting(first.port)).toMatch(/"auth_required":true[^]*-ERR 'Authorization Violation'/);
    });
    for (const [user, subjects] of Object.entries(forbidden)) {
      yield* Effect.promise(async () => {
        const client = await connect({ servers: address, user, pass: secret[user]! });
        const refused: string[] = [];
        const watching = (async () => {
          for await (const status of client.status()) {
            if (status.type === "error" && status.error instanceof PermissionViolationError) {
              refused.push(status.error.subject);
            }
          }
        })();
        for (const subject of subjects) client.publish(subject, "{}");
        await client.flush();
        await client.close();
        await watching;
        expect([user, refused]).toEqual([user, subjects]);
      });
    }

    // the gateway may give a stream other settings
    yield* Effect.promise(async () => {
      const client = await connect({ servers: address, user: "gateway", pass: secret.gateway! });
      const jsm = await jetstreamManager(client);
      const { config } = await jsm.streams.update("SUBTAXA", { description: "facts" });
      expect([config.description, config.num_replicas]).toEqual(["facts", 3]);
      await client.close();
    });

    // another clusterer's user is let in, and none of the others is disturbed
    const next = yield* renderWith({ gmm, next: gmm });
    const password = Secret.parse(named(next.manifests, "Secret", "demo-subtaxa-nats"))
      .data["clusterer-next"]!;
    const enter = ({ port }: Server) =>
      connect({ servers: `127.0.0.1:${port}`, user: "clusterer-next", pass: password, reconnect: false });
    for (const server of servers) yield* Effect.promise(() => expect(enter(server)).rejects.toThrow());
    yield* Effect.promise(() =>
      mountUsers(next.manifests, { ...secret, "clusterer-next": password }, join(folder, "users"))
    );
    const entered: NatsConnection[] = [];
    for (const server of servers) {
      const client = yield* until(
        "the new clusterer's entry",
        () => enter(server).catch(() => null),
        (client) => client !== null,
      );
      entered.push(client!);
    }
    expect(yield* connections()).toEqual(expect.arrayContaining(before));
    // and goes when the clusterer is taken away
    yield* Effect.promise(async () => {
      await mountUsers(manifests, secret, join(folder, "users"));
      await Promise.all(entered.map((client) => client.closed()));
    });
    expect(yield* connections()).toEqual(expect.arrayContaining(before));
  });

const gmm = { image: "example/subtaxa-clusterer-python:0.1.0" };

const renderWith = (clusterers: Readonly<Record<string, unknown>>) =>
  Effect.map(render({ all: { clusterers } }), (answers) => {
    const answer = answers.get("all");
    if (!answer || "error" in answer) throw new Error(answer?.error);
    return answer;
  });

Deno.test({
  name:
    "the chart's NATS: three servers, a user for each service who may do what it does and no more, seen by KEDA",
  ignore: missing !== undefined,
  fn: async () => {
    const answer = await Effect.runPromise(renderWith({ gmm }));
    const folder = await Deno.makeTempDir({ prefix: "subtaxa-chart-nats-" });
    try {
      await Effect.runPromise(
        Effect.scoped(scenario(folder, answer)).pipe(Effect.raceFirst(uncaught), Effect.timeout("5 minutes")),
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
