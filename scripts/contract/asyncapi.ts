import { DEAD, FACTS } from "@subtaxa/bus";
import {
  ClustererAnnouncement,
  CONTRACT_VERSION,
  DatasetProgress,
  discoverySubject,
  type EventType,
  RunProgress,
} from "@subtaxa/contracts";
import { z } from "zod";
import { eventSchemas, messageName, opened } from "./schemas.ts";

/** The kinds of service, and which events each takes and publishes; a test holds it to their consumers and to their rights. */
export const services: Readonly<
  Record<string, { takes: readonly EventType[]; publishes: readonly EventType[] }>
> = {
  gateway: {
    takes: ["dataset.requested"],
    publishes: [
      "run.requested",
      "run.cancelled",
      "run.failed",
      "dataset.requested",
      "dataset.imported",
      "dataset.failed",
    ],
  },
  trainer: {
    takes: ["run.requested", "backbone.extracted", "epoch.validated", "dataset.relabelled"],
    publishes: ["epoch.trained", "run.failed"],
  },
  evaluator: {
    takes: ["epoch.trained", "epoch.validated", "shard.advanced", "fold.completed"],
    publishes: ["shard.advanced", "epoch.validated", "fold.completed", "run.completed", "run.failed"],
  },
  extractor: {
    takes: ["run.requested", "adaptation.planned", "shard.advanced"],
    publishes: ["shard.advanced", "backbone.extracted", "features.extracted", "run.failed"],
  },
  clusterer: {
    takes: ["run.requested", "backbone.extracted", "epoch.validated", "features.extracted"],
    publishes: ["adaptation.planned", "dataset.relabelled", "run.failed"],
  },
};

const text = (description: string, more: object = {}) => ({ type: "string", description, ...more });

const headers = {
  type: "object",
  required: ["Nats-Msg-Id", "ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time", "content-type"],
  properties: {
    "Nats-Msg-Id": text(
      "<run>:<fold>:<epoch>:<type>; of a shard <run>:<fold>-<shard>:<epoch>:<type>:<of>:<portions done>; of the three " +
        "ends of a run <run>:end. The server drops a repetition",
    ),
    "ce-specversion": text("CloudEvents", { const: "1.0" }),
    "ce-id": text("the same as Nats-Msg-Id"),
    "ce-type": text("subtaxa.<type>.v<version>", { pattern: `^subtaxa\\.[a-z.]+\\.v${CONTRACT_VERSION}$` }),
    "ce-source": text("/subtaxa/<service>"),
    "ce-time": text("the event's `at`", { format: "date-time" }),
    "content-type": text("", { const: "application/json" }),
    traceparent: text("W3C Trace Context: handed on from the message that is acted on"),
  },
};

const deadLetterHeaders = {
  type: "object",
  required: ["Nats-Msg-Id", "subtaxa-error", "subtaxa-reason", "subtaxa-consumer", "subtaxa-sequence"],
  properties: {
    "Nats-Msg-Id": text("dead:<consumer>:<sequence>"),
    "subtaxa-error": text("the error's tag"),
    "subtaxa-reason": text("the error in a sentence"),
    "subtaxa-consumer": text("the durable consumer that the message was for"),
    "subtaxa-sequence": text(`the message's place in ${FACTS}`),
  },
};

const reference = (...path: string[]) => ({ $ref: `#/${path.join("/")}` });
const schemaOf = (schema: z.ZodType): Record<string, unknown> => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { ...opened, target: "draft-7" });
  return rest;
};

/** An operation that sends something other than a fact. */
const sends = (service: string, channel: string) => ({
  action: "send",
  channel: reference("channels", channel),
  tags: [{ name: service }],
});

const token = (description: string) => ({ description });

/** The AsyncAPI 3.0 document of everything that goes over NATS. */
export const asyncApi = (): Record<string, unknown> => {
  const types = [...eventSchemas.keys()];
  const channels = Object.fromEntries(types.map((type) => [messageName(type), {
    address: `subtaxa.${type}.{route}.{subject}.{fold}`,
    description: `Stream ${FACTS}`,
    parameters: {
      route: token("who acts next: the clusterer's name, or a fixed step"),
      subject: token("the run, or the data set"),
      fold: token("number of the fold, or `all`; of a shard `<fold>-<shard>`"),
    },
    messages: { [messageName(type)]: reference("components", "messages", messageName(type)) },
    bindings: { nats: { bindingVersion: "0.1.0" } },
  }]));
  const operation = (service: string, action: "send" | "receive", type: EventType) => [
    `${service}${action === "send" ? "Publishes" : "Takes"}${messageName(type)}`,
    {
      action,
      channel: reference("channels", messageName(type)),
      tags: [{ name: service }],
      // one consumer per kind of service: every message goes to one instance
      bindings: { nats: { ...(action === "receive" && { queue: service }), bindingVersion: "0.1.0" } },
    },
  ];
  const operations = Object.fromEntries(
    Object.entries(services).flatMap(([service, { takes, publishes }]) => [
      ...takes.map((type) => operation(service, "receive", type)),
      ...publishes.map((type) => operation(service, "send", type)),
    ]),
  );
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Subtaxa",
      version: `${CONTRACT_VERSION}.0.0`,
      description:
        "What the services of Subtaxa tell one another over NATS. CLUSTERER.md tells how to write a clusterer.",
    },
    defaultContentType: "application/json",
    servers: {
      nats: { host: "127.0.0.1:4222", protocol: "nats", description: "NATS with JetStream: NATS_URL" },
    },
    channels: {
      ...channels,
      RunProgress: {
        address: "progress.run.{run}",
        description: "Core NATS: may be lost, nothing depends on it",
        parameters: { run: token("the run") },
        messages: { RunProgress: reference("components", "messages", "RunProgress") },
      },
      DatasetProgress: {
        address: "progress.dataset.{dataset}",
        description: "Core NATS: may be lost, nothing depends on it",
        parameters: { dataset: token("the data set") },
        messages: { DatasetProgress: reference("components", "messages", "DatasetProgress") },
      },
      DeadLetter: {
        address: "dead.{subject}",
        description: `Stream ${DEAD}`,
        parameters: { subject: token("the whole subject of the message that is set aside") },
        messages: { DeadLetter: reference("components", "messages", "DeadLetter") },
      },
      ClustererDiscovery: {
        address: discoverySubject.clusterer,
        description: "Core NATS: a request of everyone",
        messages: { Question: reference("components", "messages", "Question") },
      },
      ClustererAnswers: {
        address: null,
        description: "The request's reply subject",
        messages: { ClustererAnnouncement: reference("components", "messages", "ClustererAnnouncement") },
      },
    },
    operations: {
      ...operations,
      ...Object.fromEntries(
        Object.keys(services).flatMap((service) => [
          [
            `${service}TellsProgress`,
            sends(service, service === "gateway" ? "DatasetProgress" : "RunProgress"),
          ],
          [`${service}SetsAside`, sends(service, "DeadLetter")],
        ]),
      ),
      clustererAnnouncesItself: {
        action: "receive",
        channel: reference("channels", "ClustererDiscovery"),
        tags: [{ name: "clusterer" }],
        reply: { channel: reference("channels", "ClustererAnswers") },
      },
    },
    components: {
      messages: {
        ...Object.fromEntries(types.map((type) => [messageName(type), {
          name: type,
          headers,
          payload: schemaOf(eventSchemas.get(type)!),
        }])),
        RunProgress: { name: "progress", payload: schemaOf(RunProgress) },
        DatasetProgress: { name: "dataset progress", payload: schemaOf(DatasetProgress) },
        DeadLetter: {
          name: "dead letter",
          contentType: "application/octet-stream",
          summary: "The bytes of the message that could not be acted on",
          headers: deadLetterHeaders,
        },
        Question: { name: "question", summary: "Empty" },
        ClustererAnnouncement: { name: "announcement", payload: schemaOf(ClustererAnnouncement) },
      },
    },
  };
};
