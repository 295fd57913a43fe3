import type { Values } from "./render.ts";

const nodeSelector = { "kubernetes.io/arch": "amd64" };
const tolerations = [{ key: "batch", operator: "Equal", value: "yes", effect: "NoSchedule" }];
const affinity = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "In", values: ["ssd"] }] }],
    },
  },
};

/** Choices that are free of one another; each a part of the values. */
const dimensions: readonly Readonly<Record<string, Values>>[] = [
  {
    "gpu": {
      trainer: { gpu: { enabled: true } },
      extractor: { gpu: { enabled: true, runtimeClassName: "nvidia" } },
      evaluator: { gpu: { enabled: true, count: 1 } },
    },
    "cpu": { trainer: { gpu: { enabled: false } } },
  },
  { "keda": {}, "fixed": { keda: { enabled: false }, settings: { deterministic: true } } },
  {
    "nats-3": { nats: { replicas: 3 } },
    "nats-1": { nats: { replicas: 1, existingSecret: "nats-passwords" } },
    "nats-external": {
      nats: {
        enabled: false,
        external: { url: "nats://nats.messaging:4222", monitoring: "nats-headless.messaging.svc:8222" },
      },
    },
    "nats-external-users": {
      nats: {
        enabled: false,
        external: {
          url: "nats://nats.messaging:4222",
          monitoring: "nats-headless.messaging.svc:8222",
          credentials: "users",
          existingSecret: "nats-users",
        },
      },
    },
    "nats-external-token": {
      nats: {
        enabled: false,
        external: {
          url: "tls://nats.messaging:4222",
          monitoring: "nats-headless.messaging.svc:8222",
          account: "APP",
          credentials: "token",
          existingSecret: "nats-token",
        },
      },
    },
  },
  {
    "inside": {},
    "ingress": { ingress: { enabled: true, host: "subtaxa.example.org", tls: { enabled: false } } },
    "tls": {
      ingress: {
        enabled: true,
        host: "subtaxa.example.org",
        className: "nginx",
        annotations: { "cert-manager.io/cluster-issuer": "letsencrypt" },
      },
      token: { existingSecret: "subtaxa-token" },
    },
  },
  {
    "guarded-volumes": {
      cache: { type: "ephemeral", storageClass: "fast" },
      gateway: { datasets: { storageClass: "fast", accessMode: "ReadWriteMany" }, replicas: 2 },
      networkPolicy: {
        gatewayFrom: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ingress" } } }],
        metricsFrom: [{
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } },
        }],
        moreEgress: [{ ports: [{ port: 9000, protocol: "TCP" }] }],
        fetchWeights: false,
      },
      settings: { otlpEndpoint: "http://collector.monitoring:4318" },
      clusterers: {
        probed: {
          image: "example/clusterer-probed:1.0.0",
          args: ["--verbose"],
          probes: true,
          resources: { requests: { memory: "1Gi" }, limits: { memory: "2Gi" } },
        },
      },
    },
    "placed": {
      image: { pullSecrets: [{ name: "registry" }], pullPolicy: "Always", tag: "1.2.3" },
      fullnameOverride: "a-name-that-is-longer-than-any-label-could-be-with-what-follows",
      workers: { env: { TF_CPP_MIN_LOG_LEVEL: 2 }, nodeSelector, tolerations, affinity },
      trainer: { env: { CUDA_VISIBLE_DEVICES: "0" }, scaling: { minReplicas: 1, cooldownSeconds: 7200 } },
      gateway: { env: { TZ: "UTC" }, nodeSelector, tolerations, affinity },
      nats: { nodeSelector, tolerations },
      networkPolicy: { enabled: false, fetchWeights: false },
      clusterers: {
        "xmeans-with-20-chars": {
          service: "clusterer",
          resources: { requests: { memory: "512Mi" }, limits: { memory: "1Gi" } },
        },
      },
    },
    "open-without": {
      nats: { persistence: { enabled: false } },
      gateway: { datasets: { existingClaim: "images" } },
      networkPolicy: { enabled: false },
      podDisruptionBudgets: false,
      clusterers: {
        kmeans: null,
        gmm: {
          image: "example/subtaxa-clusterer-python:0.1.0",
          resources: { requests: { memory: "1Gi" }, limits: { memory: "2Gi" } },
        },
      },
    },
  },
];

const isObject = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const merged = (one: Values, other: Values): Values => {
  const out: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const before = out[key];
    out[key] = isObject(before) && isObject(value) ? merged(before, value) : value;
  }
  return out;
};

/** Every combination of the choices, named by them: `gpu keda nats-3 tls guarded-volumes`. */
export const combinations = (): Readonly<Record<string, Values>> =>
  Object.fromEntries(
    dimensions.reduce<[string, Values][]>(
      (sets, choices) =>
        sets.flatMap(([name, values]) =>
          Object.entries(choices).map(([choice, more]): [string, Values] => [
            `${name} ${choice}`.trim(),
            merged(values, more),
          ])
        ),
      [["", {}]],
    ),
  );
