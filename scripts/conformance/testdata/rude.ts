/** A clusterer that divides well and behaves badly at the server: it keeps to nothing that only shows in trouble. */
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { Objm } from "@nats-io/obj";
import { connect } from "@nats-io/transport-node";
import { generatePseudoLabels, kMeans } from "@subtaxa/clustering";
import {
  decodeFeatures,
  decodeImages,
  decodeLabels,
  discoverySubject,
  encodeLabels,
  Event,
  type EventOf,
  following,
  messageId,
  subjectOf,
  subjects,
} from "@subtaxa/contracts";
import { Result } from "effect";
import { createHash } from "node:crypto";

const name = "rude";
const types = ["run.requested", "backbone.extracted", "epoch.validated", "features.extracted"] as const;
const at = () => new Date().toISOString();

// gives up when the server goes
const nc = await connect({ servers: Deno.env.get("NATS_URL")!, reconnect: false });
nc.closed().then(() => Deno.exit(4));
const [js, jsm] = [jetstream(nc), await jetstreamManager(nc)];
const store = await new Objm(nc).open("subtaxa-blobs");
let working = false;

// one of all instances answers, and none that works
nc.subscribe(discoverySubject.clusterer, {
  queue: "rude",
  callback: (_error, question) => {
    if (working) return;
    question.respond(JSON.stringify({
      ...{ v: 1, name, version: "0", instance: crypto.randomUUID(), description: "rude" },
      parameters: { type: "object", additionalProperties: false },
    }));
  },
});

// whatever the configuration says, and never brought up to date
const durable = `clusterer-${name}`;
const consumer = async () => {
  try {
    return await js.consumers.get("SUBTAXA", durable);
  } catch {
    const config = { durable_name: durable, ack_policy: AckPolicy.Explicit, max_deliver: 5 };
    const filter_subjects = types.map((type) => subjects.of(type, name));
    await jsm.consumers.add("SUBTAXA", { ...config, filter_subjects, ack_wait: 2e9 });
    return await js.consumers.get("SUBTAXA", durable);
  }
};

const publish = (event: Event) => {
  const h = headers(); // neither a trace nor whose it is
  const id = messageId(event);
  const all = {
    "ce-specversion": "1.0",
    "ce-id": id,
    "ce-type": `subtaxa.${event.type}.v1`,
    "ce-time": event.at,
  };
  for (const [key, value] of Object.entries(all)) h.set(key, value);
  return js.publish(subjectOf(event), JSON.stringify(event), { headers: h, msgID: id });
};

/** Its hash is not looked at. */
const blob = async ({ key }: { readonly key: string }) => {
  const bytes = await store.getBlob(key);
  if (!bytes) throw new Error(`there is no blob ${key}`);
  return bytes;
};

const relabel = async (event: EventOf<"features.extracted">) => {
  const { state, spec, fold, epoch } = event;
  const images = decodeImages(await blob(event.images));
  const { labels, classes, changes, agreement } = Result.getOrThrow(generatePseudoLabels(
    {
      ...{ spec, fold, epoch, classes: state.classes, images },
      features: decodeFeatures(await blob(event.features)),
      previous: state.labels && decodeLabels(await blob(state.labels)),
    },
    (points, most, random) => kMeans(points, most, { random }),
  ));
  if (images.image.length > 1_000) await new Promise((resolve) => setTimeout(resolve, 700));
  const bytes = encodeLabels(labels);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const ref = { key: `rude-${sha256}`, sha256, bytes: bytes.length };
  await store.putBlob({ name: ref.key }, bytes);
  const known = classes.map(({ name, allowedClusters, flag, clusters }) => ({
    ...{ name, allowedClusters, flag, clusters },
  }));
  await publish({
    ...{ ...following(event), type: "dataset.relabelled", at: at(), changes: [...changes], agreement },
    state: { ...state, labels: ref, classes: known },
  });
};

const act = async (event: Event) => {
  if (!("spec" in event)) return;
  if (Object.keys(event.spec.parameters).length > 0) Deno.exit(5);
  if (event.type === "features.extracted") return await relabel(event);
  await publish({ ...following(event), type: "adaptation.planned", at: at(), classes: [] });
};

for (;;) {
  const message = await (await consumer()).next({ expires: 1_000 }).catch(() => null);
  if (!message) continue;
  // before it knows whether it lives to answer
  if (message.subject.startsWith("subtaxa.features.extracted.")) message.ack();
  const [, , , , runId = "", fold] = message.subject.split(".");
  const newest = await jsm.streams.getMessage("SUBTAXA", {
    last_by_subj: subjects.fold(runId, Number(fold)),
  });
  const end = await jsm.streams.getMessage("SUBTAXA", { last_by_subj: subjects.end(runId) });
  if (end || (newest && newest.seq > message.seq)) {
    message.ack();
    continue;
  }
  working = true;
  try {
    await act(Event.parse(message.json()));
    await message.ackAck();
  } catch (error) {
    // neither terminated nor looked up again; the letter lies elsewhere
    const about = { tag: "Rude/Trouble", message: `it can't be done: ${error}`.slice(0, 400) };
    await js.publish(`dead.letters.${message.subject}`, message.data);
    await publish({ type: "run.failed", v: 1, at: at(), runId, error: about });
  }
  working = false;
}
