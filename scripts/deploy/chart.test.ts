import { Effect } from "effect";
import { expect } from "expect";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { combinations } from "./combinations.ts";
import {
  type Manifest,
  namespace,
  release,
  render,
  type Rendered,
  renderLive,
  type Values,
} from "./render.ts";
import { toolsMissing } from "./tools.ts";
import { validate } from "./validate.ts";

const missing = toolsMissing();
if (missing) console.warn(`the chart is not checked: ${missing}`);
const test = (name: string, body: () => Promise<void>) =>
  Deno.test({ name, ignore: missing !== undefined, fn: body });

const renderAll = async (values: Readonly<Record<string, Values>>) =>
  [...await Effect.runPromise(render(values))].map(([name, answer]): [string, Rendered] => {
    if ("error" in answer) throw new Error(`${name}: ${answer.error}`);
    return [name, answer];
  });

const Env = z.object({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.object({ secretKeyRef: z.object({ name: z.string(), key: z.string() }).optional() })
    .optional(),
});
const Container = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).optional(),
  env: z.array(Env).default([]),
  resources: z.object({
    requests: z.record(z.string(), z.unknown()),
    limits: z.record(z.string(), z.unknown()),
  }),
  securityContext: z.unknown(),
});
const PodSpec = z.looseObject({
  containers: z.array(Container),
  initContainers: z.array(Container).default([]),
  automountServiceAccountToken: z.boolean(),
  serviceAccountName: z.string(),
  securityContext: z.looseObject({}),
  terminationGracePeriodSeconds: z.number().optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(z.looseObject({ key: z.string() })).optional(),
  volumes: z.array(z.looseObject({ name: z.string() })).default([]),
});
const Workload = z.looseObject({
  spec: z.looseObject({ replicas: z.number().optional(), template: z.looseObject({ spec: PodSpec }) }),
});

const workloads = (manifests: readonly Manifest[]) =>
  manifests.filter(({ kind }) => ["Deployment", "StatefulSet", "Job"].includes(kind)).map((manifest) => {
    const { replicas, template } = Workload.parse(manifest).spec;
    return { kind: manifest.kind, name: manifest.metadata.name, replicas, pod: template.spec };
  });

const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === `demo-subtaxa-${name}`);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
};

test("every combination of values renders, keeps to the strict schemas and to what holds for all", async () => {
  const rendered = await renderAll(combinations());
  const { valid, wrong } = await Effect.runPromise(
    validate(new Map(rendered.map(([name, { manifests }]) => [name, manifests]))),
  );
  expect(wrong).toEqual([]);
  expect(valid).toBe(rendered.reduce((sum, [, { manifests }]) => sum + manifests.length, 0));
  expect(rendered.length).toBe(180);
  // two thirds have a clusterer with an image of its own, half of these one that answers probes
  const having = (name: string) =>
    rendered.filter(([, { manifests }]) =>
      manifests.some(({ kind, metadata }) =>
        kind === "Deployment" && metadata.name.endsWith(`-clusterer-${name}`)
      )
    );
  expect([having("gmm").length, having("probed").length]).toEqual([60, 60]);

  for (const [name, { manifests, notes }] of rendered) {
    const ids = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect([name, ids]).toEqual([name, [...new Set(ids)]]);
    expect(notes).toContain("kubectl -n microscopy");
    // KEDA makes labels of the names of its objects
    for (const { kind, metadata } of manifests) {
      if (kind === "ScaledObject") expect(metadata.name.length).toBeLessThanOrEqual(63);
    }
    const given = ["nats-passwords", "nats-users", "nats-token", "subtaxa-token"];
    for (const { kind, pod } of workloads(manifests)) {
      // the restricted Pod Security Standard, and more
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(ids).toContain(`ServiceAccount ${pod.serviceAccountName}`);
      for (const container of [...pod.containers, ...pod.initContainers]) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources.requests.memory).toBeDefined();
        expect(container.resources.limits.memory).toBeDefined();
        // a clusterer's contract doesn't make it answer probes
        const probed = kind !== "Job" && container.name !== "clusterer-gmm";
        if (container.name === "users") continue;
        for (const probe of ["startupProbe", "livenessProbe", "readinessProbe", "ports"]) {
          expect([container.name, probe, container[probe] !== undefined]).toEqual([
            container.name,
            probe,
            probed,
          ]);
        }
        for (const { valueFrom } of container.env) {
          const secret = valueFrom?.secretKeyRef?.name;
          if (secret && !given.includes(secret)) expect(ids).toContain(`Secret ${secret}`);
        }
        // no secret in plain sight
        const url = container.env.find((one) => one.name === "NATS_URL")?.value ?? "";
        expect(url).not.toMatch(/\/\/[^$]*:[^$/]*@/);
      }
    }
  }
});

/** Names that some service reads from its environment. */
const readNames = (): Set<string> => {
  const names = new Set<string>();
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/(?<!\.test)\.ts$/.test(entry.name)) {
        const text = readFileSync(path, "utf8");
        for (const [, name = ""] of text.matchAll(/"((?:SUBTAXA|NATS|OTEL)_[A-Z_]+)"/g)) names.add(name);
      }
    }
  };
  for (const folder of ["services", "shared"]) walk(resolve(import.meta.dirname!, "../..", folder));
  return names;
};

test("services are configured by the names that they read, each in the order its values need", async () => {
  const known = readNames();
  expect(known).toContain("SUBTAXA_PROBE_PORT");
  known.add("OTEL_EXPORTER_OTLP_ENDPOINT"); // read by Effect's OtlpTracer.layerFromConfig
  const settings = {
    deterministic: true,
    otlpEndpoint: "http://collector.monitoring:4318",
    clustererTimeout: "3 days",
    natsWait: "5 minutes",
  };
  for (const [, { manifests }] of await renderAll({ all: { settings } })) {
    const [gateway] = workloads([find(manifests, "Deployment", "gateway")])[0]!.pod.containers;
    expect(gateway?.env).toContainEqual({ name: "SUBTAXA_CLUSTERER_TIMEOUT", value: "3 days" });
    expect(find(manifests, "NetworkPolicy", "services").spec)
      .toMatchObject({ egress: expect.arrayContaining([{ ports: [{ port: 4318 }] }]) });
    for (const { pod } of workloads(manifests)) {
      for (const { name, env } of pod.containers) {
        if (name === "nats") continue;
        const names = env.map((one) => one.name);
        for (const one of names) expect(known.has(one) || one === "NATS_PASSWORD" ? "" : one).toBe("");
        // $(NATS_PASSWORD) is replaced only when it comes before
        expect(names.indexOf("NATS_PASSWORD")).toBeLessThan(names.indexOf("NATS_URL"));
        expect(env.find((one) => one.name === "NATS_URL")?.value)
          .toBe(`nats://${name}:$(NATS_PASSWORD)@demo-subtaxa-nats:4222`);
        expect(env.find((one) => one.name === "SUBTAXA_CLUSTERER_NAME")?.value)
          .toBe(name.startsWith("clusterer-") ? name.slice("clusterer-".length) : undefined);
        expect(env.find((one) => one.name === "SUBTAXA_REPLICAS")?.value).toBe("3");
        expect(env.find((one) => one.name === "SUBTAXA_NATS_WAIT")?.value).toBe("5 minutes");
        expect(env.find((one) => one.name === "OTEL_EXPORTER_OTLP_ENDPOINT")?.value)
          .toBe("http://collector.monitoring:4318");
      }
    }
  }
});

test("a GPU goes to whom it is given: image, limit, node and toleration", async () => {
  const [[, { manifests }]] = await renderAll({
    all: {
      extractor: { gpu: { enabled: true, count: 2 } },
      workers: {
        tolerations: [{ key: "batch", operator: "Exists" }],
        gpu: { nodeSelector: { "nvidia.com/gpu.present": "true" } },
      },
    },
  }) as [[string, Rendered]];
  const pods = new Map(
    workloads(manifests).map(({ name, pod }) => [name.slice("demo-subtaxa-".length), pod]),
  );
  for (
    const [name, count] of [["trainer", 1], ["extractor", 2], ["evaluator", 0], [
      "clusterer-xmeans",
      0,
    ]] as const
  ) {
    const pod = pods.get(name)!;
    const [container] = pod.containers;
    expect(container?.image).toBe(`subtaxa:0.1.0-${count ? "cuda" : "cpu"}`);
    expect(container?.resources.limits["nvidia.com/gpu"]).toBe(count || undefined);
    expect(pod.nodeSelector).toEqual(count ? { "nvidia.com/gpu.present": "true" } : undefined);
    expect(pod.tolerations?.map(({ key }) => key)).toEqual(count ? ["batch", "nvidia.com/gpu"] : ["batch"]);
  }
});

test("KEDA scales every worker to zero, on its own consumer, and alone decides how many there are", async () => {
  const [[, { manifests }], [, fixed]] = await renderAll({
    keda: {},
    fixed: { keda: { enabled: false }, trainer: { replicas: 3 } },
  }) as [[string, Rendered], [string, Rendered]];
  const scaled = manifests.filter(({ kind }) => kind === "ScaledObject");
  expect(scaled.map(({ metadata }) => metadata.name.slice("demo-subtaxa-".length)).sort())
    .toEqual(["clusterer-kmeans", "clusterer-xmeans", "evaluator", "extractor", "trainer"]);
  for (const one of scaled) {
    expect(one.spec).toMatchObject({ minReplicaCount: 0, scaleTargetRef: { name: one.metadata.name } });
    const name = one.metadata.name.slice("demo-subtaxa-".length);
    // as many as are there already, and none when there is no cluster to ask: not the API server's one
    expect(workloads([find(manifests, "Deployment", name)])[0]?.replicas).toBe(0);
  }
  expect(find(manifests, "ScaledObject", "trainer").spec).toMatchObject({
    cooldownPeriod: 600,
    triggers: [{
      type: "nats-jetstream",
      metadata: {
        natsServerMonitoringEndpoint: "demo-subtaxa-nats-headless.microscopy.svc.cluster.local:8222",
        account: "$G",
        stream: "SUBTAXA",
        consumer: "trainer",
        lagThreshold: "1",
      },
    }],
  });
  expect(fixed.manifests.filter(({ kind }) => kind === "ScaledObject" || kind === "Job")).toEqual([]);
  expect(workloads([find(fixed.manifests, "Deployment", "trainer")])[0]?.replicas).toBe(3);
});

test("what a cluster holds stays: instances that KEDA started, passwords, and whether NATS is a cluster", async () => {
  const object = (apiVersion: string, kind: string, name: string, more: Values): Manifest => ({
    apiVersion,
    kind,
    metadata: {
      name: `demo-subtaxa-${name}`,
      labels: { "app.kubernetes.io/managed-by": "Helm" },
      annotations: { "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace },
    },
    ...more,
  });
  const trainer = object("apps/v1", "Deployment", "trainer", { spec: { replicas: 3 } });
  const password = object("v1", "Secret", "nats", { data: { trainer: btoa("known") } });
  const nats = (replicas: number) => object("apps/v1", "StatefulSet", "nats", { spec: { replicas } });
  const live = (values: Values, objects: readonly Manifest[]) =>
    Effect.runPromise(renderLive(values, objects));

  const kept = await live({}, [trainer, password, nats(3)]);
  if ("error" in kept) throw new Error(kept.error);
  const replicas = (name: string) => workloads([find(kept.manifests, "Deployment", name)])[0]!.replicas;
  expect([replicas("trainer"), replicas("extractor")]).toEqual([3, 0]);
  expect(find(kept.manifests, "Secret", "nats").data)
    .toMatchObject({ trainer: btoa("known"), gateway: expect.any(String) });
  expect(await live({ nats: { replicas: 5 } }, [nats(3)])).toHaveProperty("manifests");
  for (const [before, after] of [[1, 3], [3, 1]] as const) {
    expect(await live({ nats: { replicas: after } }, [nats(before)]))
      .toEqual({
        error: expect.stringContaining(`nats.replicas: the ${before} of this release can't become ${after}`),
      });
  }
});

test("what is scaled down waits an hour at most, which is as long as Kubernetes can", async () => {
  const [[, { manifests }]] = await renderAll({
    all: { trainer: { scaling: { cooldownSeconds: 7200 } } },
  }) as [
    [string, Rendered],
  ];
  const windowOf = (seconds: number) => ({
    horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: seconds } } },
  });
  expect(find(manifests, "ScaledObject", "trainer").spec)
    .toMatchObject({ cooldownPeriod: 7200, advanced: windowOf(3600) });
  expect(find(manifests, "ScaledObject", "evaluator").spec)
    .toMatchObject({ cooldownPeriod: 600, advanced: windowOf(600) });
});

test("the ingress publishes every path of the gateway but its metrics, which Prometheus finds by annotations", async () => {
  const [[, { manifests }]] = await renderAll({
    all: {
      ingress: { enabled: true, host: "subtaxa.example.org" },
      clusterers: { gmm: { image: "example/gmm:1" } },
    },
  }) as [[string, Rendered]];
  const Path = z.object({ path: z.string(), pathType: z.enum(["Exact", "Prefix"]) });
  const [{ http: { paths } }] =
    z.object({ rules: z.tuple([z.object({ http: z.object({ paths: z.array(Path) }) })]) })
      .parse(manifests.find(({ kind }) => kind === "Ingress")!.spec).rules;
  const published = (asked: string) =>
    paths.some(({ path, pathType }) =>
      asked === path || pathType === "Prefix" && asked.startsWith(`${path}/`)
    );
  const api = resolve(import.meta.dirname!, "../../services/gateway/api");
  const text = readdirSync(api).map((name) => readFileSync(join(api, name), "utf8")).join("\n");
  const asked = [...text.matchAll(/(?:path: |doc31\()"(\/[^"]*)"/g)].map(([, path]) => path!);
  expect(asked.length).toBeGreaterThan(12);
  expect([...asked, "/page/app.js"].filter((path) => !published(path))).toEqual([]);
  expect(["/metrics", "/healthz"].filter(published)).toEqual([]);

  const Annotated = z.object({
    spec: z.object({
      template: z.object({
        metadata: z.object({ annotations: z.record(z.string(), z.string()).optional() }),
      }),
    }),
  });
  const port = (name: string) =>
    Annotated.parse(find(manifests, "Deployment", name)).spec.template.metadata
      .annotations?.["prometheus.io/port"];
  expect(["gateway", "trainer", "clusterer-xmeans", "clusterer-gmm"].map(port))
    .toEqual(["8080", "8081", "8081", undefined]);
});

test("a cache on the node's disk is asked for there", async () => {
  const gateways = await renderAll({
    disk: { cache: { request: "7Gi" } },
    volume: { cache: { type: "ephemeral" } },
  });
  const asked = gateways.map(([, { manifests }]) =>
    ["gateway", "trainer"].map((name) =>
      workloads([find(manifests, "Deployment", name)])[0]!.pod.containers[0]!
        .resources.requests["ephemeral-storage"]
    )
  );
  expect(asked).toEqual([["7Gi", "7Gi"], [undefined, undefined]]);
});

test("another clusterer is one entry", async () => {
  const image = "example/subtaxa-clusterer-python:0.1.0";
  const resources = { requests: { memory: "1Gi" }, limits: { memory: "2Gi" } };
  const token = { existingSecret: "token" }; // else a new one each time
  const [[, plain], [, more]] = await renderAll({
    plain: { token },
    more: {
      token,
      clusterers: {
        gmm: { image, resources },
        next: { image, args: ["--verbose"], probes: true, resources },
      },
    },
  }) as [[string, Rendered], [string, Rendered]];
  const names = (rendered: Rendered) =>
    rendered.manifests.map(({ kind, metadata }) => `${kind} ${metadata.name.slice("demo-subtaxa-".length)}`);
  const added = names(more).filter((name) => !names(plain).includes(name));
  expect(added.sort()).toEqual(
    ["Deployment", "PodDisruptionBudget", "ScaledObject"].flatMap((kind) =>
      ["gmm", "next"].map((route) => `${kind} clusterer-${route}`)
    ),
  );
  expect(
    Object.keys(z.object({ data: z.looseObject({}) }).parse(find(more.manifests, "Secret", "nats")).data),
  )
    .toContain("clusterer-gmm");
  const conf = JSON.stringify(find(more.manifests, "ConfigMap", "nats-users"));
  expect(conf).toContain("user: clusterer-gmm");

  // nothing else changes, so that nothing else is started anew: whoever is let in, and who registers
  const others = ({ manifests }: Rendered) =>
    manifests.filter(({ kind, metadata: { name } }) =>
      !["Secret demo-subtaxa-nats", "ConfigMap demo-subtaxa-nats-users", "Job demo-subtaxa-register-1"]
        .includes(`${kind} ${name}`) && !/-clusterer-(gmm|next)$/.test(name)
    );
  expect(others(more)).toEqual(others(plain));
  const job = workloads([find(more.manifests, "Job", "register-1")])[0]!.pod.containers;
  expect(job.find(({ name }) => name === "clusterer-gmm")).toMatchObject({
    image: "subtaxa:0.1.0-cpu",
    args: ["clusterer"],
    env: expect.arrayContaining([
      { name: "SUBTAXA_CLUSTERER_NAME", value: "gmm" },
      { name: "SUBTAXA_REGISTER_ONLY", value: "true" },
    ]),
  });

  // it is given what deploy/README.md tells, and asked only for what it says that it does
  const container = (route: string) =>
    workloads([find(more.manifests, "Deployment", `clusterer-${route}`)])[0]!.pod.containers[0]!;
  const [gmm, next] = [container("gmm"), container("next")];
  expect([gmm.image, gmm.args, next.image, next.args]).toEqual([image, undefined, image, ["--verbose"]]);
  const said = readFileSync(resolve(import.meta.dirname!, "../../deploy/README.md"), "utf8")
    .split("**Another clusterer**")[1]!.split("\n## ")[0]!;
  for (const { name } of next.env) expect(said).toContain(`\`${name}\``);
  const probes = ["startupProbe", "livenessProbe", "readinessProbe", "ports"];
  expect(probes.filter((field) => field in gmm)).toEqual([]);
  expect(probes.filter((field) => field in next)).toEqual(probes);
  expect(next.env.filter(({ name }) => !gmm.env.some((one) => one.name === name)))
    .toEqual([{ name: "SUBTAXA_PROBE_PORT", value: "8081" }]);

  // and the contract tells which subjects its user may publish on and subscribe to
  const prose = readFileSync(
    resolve(import.meta.dirname!, "../../shared/contracts/generated/CLUSTERER.md"),
    "utf8",
  ).split("## 7. Where it runs\n")[1]!;
  const user = /user: clusterer-gmm\\n[^]*?publish \{([^]*?)\}[^]*?subscribe \{([^]*?)\}/.exec(conf)!;
  for (const list of user.slice(1)) {
    const subjects = [...list.matchAll(/\\"([^"]+)\\"/g)].map(([, subject]) => subject!);
    expect(subjects.length).toBeGreaterThan(3);
    for (const subject of subjects) {
      expect(prose).toContain(`\`${subject.replace("clusterer-gmm", "clusterer-<name>")}\``);
    }
  }
});

test("of the users of NATS, the gateway alone may change the settings of streams", async () => {
  const [[, { manifests }]] = await renderAll({ all: {} }) as [[string, Rendered]];
  const { data } = z.looseObject({ data: z.record(z.string(), z.string()) })
    .parse(find(manifests, "ConfigMap", "nats-users"));
  const users = data["users.conf"]!.split(/^\s+user: /m).slice(1).map((text) => [text.split("\n")[0]!, text]);
  expect(users.length).toBeGreaterThan(3);
  for (const [user, allowed] of users) {
    expect([user, allowed!.includes("STREAM.UPDATE")]).toEqual([user, user === "gateway"]);
  }
});

test("services ask for the memory that deploy/README.md measured", async () => {
  const readme = readFileSync(resolve(import.meta.dirname!, "../../deploy/README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| (\w+) +\| (\d+) +\| (\d+) +\|$/gm)];
  expect(rows.map(([, name]) => name))
    .toEqual(["gateway", "trainer", "evaluator", "extractor", "clusterer", "NATS"]);
  const [[, { manifests }]] = await renderAll({ all: {} }) as [[string, Rendered]];
  const all = workloads(manifests);
  const inMiB = (quantity: unknown) => {
    const [, number, unit] = /^(\d+)([MG])i$/.exec(String(quantity))!;
    return Number(number) * (unit === "G" ? 1024 : 1);
  };
  for (const [, name = "", small, resnet] of rows) {
    const workload = ({ clusterer: "clusterer-xmeans", NATS: "nats" })[name] ?? name;
    const found = all.find((one) => one.name === `demo-subtaxa-${workload}`)!;
    const { requests, limits } = found.pod.containers[0]!.resources;
    const wanted = name === "trainer" ? 2048 : Number(small) > 512 ? 1024 : 512;
    expect([name, inMiB(requests.memory)]).toEqual([name, wanted]);
    expect(Number(small)).toBeLessThanOrEqual(wanted);
    expect(Math.max(Number(small), Number(resnet))).toBeLessThan(inMiB(limits.memory));
  }
});

test("values that can't be meant are refused, by name", async () => {
  const answers = await Effect.runPromise(render({
    typo: { trainer: { replica: 2 } },
    deep: { nats: { persistence: { sise: "1Gi" } } },
    type: { keda: { enabled: "yes" } },
    even: { nats: { replicas: 2 } },
    neither: { clusterers: { own: {} } },
    probes: { clusterers: { xmeans: { probes: false } } },
    secret: { nats: { external: { url: "nats://user:password@host:4222" } } },
    "no host": { ingress: { enabled: true } },
    "no NATS": { nats: { enabled: false } },
    "no monitoring": { nats: { enabled: false, external: { url: "nats://host:4222" } } },
    gateways: { gateway: { replicas: 2 } },
    timeout: { settings: { clustererTimeout: "soon" } },
    collector: { settings: { otlpEndpoint: "collector:4318" } },
    "no ack wait": { settings: { ackWait: "0 seconds" } },
    limits: { trainer: { scaling: { minReplicas: 5 } } },
    deliveries: { trainer: { scaling: { maxReplicas: 8 } } },
    "long name": { nameOverride: "n".repeat(64) },
  }));
  const says = {
    typo: /replica/,
    deep: /sise/,
    type: /\/keda\/enabled/,
    even: /\/nats\/replicas/,
    neither: /\/clusterers\/own/,
    probes: /\/clusterers\/xmeans/,
    secret: /\/nats\/external\/url/,
    "no host": /ingress\.host: the name that callers use/,
    "no NATS": /nats\.external\.url: the address/,
    "no monitoring": /nats\.external\.monitoring: KEDA asks it/,
    gateways: /gateway\.replicas: several gateways need/,
    timeout: /\/settings\/clustererTimeout/,
    collector: /\/settings\/otlpEndpoint/,
    "no ack wait": /\/settings\/ackWait/,
    limits: /trainer: scaling\.minReplicas \(5\) is more than scaling\.maxReplicas \(4\)/,
    deliveries: /settings\.maxDeliver: 10 deliveries are too few for trainer.*: set 11 or more/,
    "long name": /\/nameOverride/,
  };
  for (const [name, pattern] of Object.entries(says)) {
    const answer = answers.get(name);
    expect([name, answer && "error" in answer ? answer.error : "accepted"]).toEqual([
      name,
      expect.stringMatching(pattern),
    ]);
  }
});

test("validation finds a wrong type, an unknown field, a missing one and an unknown kind", async () => {
  const [[, { manifests }]] = await renderAll({ all: {} }) as [[string, Rendered]];
  const broken = (kind: string, name: string, change: (text: string) => string): Manifest => {
    const text = JSON.stringify(find(manifests, kind, name));
    const changed = change(text);
    expect(changed).not.toBe(text);
    return JSON.parse(changed);
  };
  const planted: [string, Manifest][] = [
    ["type", broken("Deployment", "gateway", (text) => text.replace(`"replicas":1`, `"replicas":"1"`))],
    ["field", broken("Deployment", "trainer", (text) => text.replace(`"readinessProbe"`, `"readyProbe"`))],
    [
      "required",
      broken("ScaledObject", "trainer", (text) => text.replace(`"scaleTargetRef":`, `"fallback":`)),
    ],
    [
      "scaler",
      broken(
        "ScaledObject",
        "trainer",
        (text) => text.replace(`"cooldownPeriod":600`, `"cooldownPeriod":"10m"`),
      ),
    ],
    ["kind", broken("Service", "gateway", (text) => text.replace(`"kind":"Service"`, `"kind":"Servise"`))],
    ["policy", broken("NetworkPolicy", "nats", (text) => text.replace(`"podSelector"`, `"podSelectors"`))],
  ];
  const { wrong, valid } = await Effect.runPromise(
    validate(new Map(planted.map(([name, manifest]) => [name, [manifest]]))),
  );
  expect(valid).toBe(0);
  expect(wrong.map((sentence) => sentence.split(":")[0]).sort()).toEqual(
    planted.map(([name]) => name).sort(),
  );
});
