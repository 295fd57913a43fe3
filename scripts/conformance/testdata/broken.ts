/**
 * A clusterer that breaks rules on purpose: it leaves an image out, divides by chance and more often than it may, lists
 * sub-classes in disorder, changes flags, names classes that are whole, and tells nonsense of itself and its progress.
 */
import { Blobs, Bus, type Outcome } from "@subtaxa/bus";
import {
  type ArtifactError,
  CONTRACT_VERSION,
  decodeFeatures,
  decodeImages,
  discoverySubject,
  encodeLabels,
  type Event,
  type EventOf,
  type Failure,
  following,
  progressSubject,
  type Subclass,
  subjects,
} from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { Effect, Layer } from "effect";

const name = "broken";
const at = () => new Date().toISOString();

const relabel = (event: EventOf<"features.extracted">): Effect.Effect<Outcome, Failure, Blobs | Bus> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    yield* (yield* Bus).progress(progressSubject.run(event.runId), { done: "half" });
    const features = yield* blobs.get(event.features);
    yield* Effect.try({ try: () => decodeFeatures(features), catch: (cause) => cause as ArtifactError });
    const { image, class: classOf } = decodeImages(yield* blobs.get(event.images));
    const rows = [...image.keys()].slice(1);
    const limit = (row: number) => event.state.classes[classOf[row]!]!.allowedClusters;
    const cluster = rows.map((row) =>
      limit(row) === 1 ? 0 : Math.floor(Math.random() * (limit(row) + 1)) + 10 * event.epoch
    );
    const used = new Map<string, Subclass>();
    rows.forEach((row, i) => {
      const one = { class: classOf[row]!, id: cluster[i]!, from: cluster[i]! };
      used.set(JSON.stringify(one), one);
    });
    const subclasses = [...used.values()].sort((a, b) => a.class - b.class || a.id - b.id);
    const labels = yield* blobs.put(encodeLabels({
      image: Uint32Array.from(rows, (row) => image[row]!),
      class: Uint16Array.from(rows, (row) => classOf[row]!),
      cluster: Uint16Array.from(cluster),
      distance: new Float32Array(rows.length),
      subclasses: subclasses.toReversed(),
      highestIds: event.state.classes.map(() => 10 * event.epoch + 9),
    }));
    const classes = event.state.classes.map((one, index) => ({
      ...one,
      flag: one.flag === 0 ? 1 as const : 0 as const,
      clusters: Math.max(1, subclasses.filter((two) => two.class === index).length),
    }));
    const relabelled: Event = {
      ...following(event),
      type: "dataset.relabelled",
      at: at(),
      state: { ...event.state, labels, classes },
      changes: [],
      agreement: 1,
    };
    return { events: [relabelled] };
  });

const handle = (event: Event): Effect.Effect<Outcome, Failure, Blobs | Bus> => {
  if (event.type === "features.extracted") return relabel(event);
  if (!("spec" in event)) return Effect.succeed({ events: [] });
  return Effect.succeed({
    events: [{ ...following(event), type: "adaptation.planned", at: at(), classes: event.spec.classes }],
  });
};

runService({
  name: `clusterer-${name}`,
  layer: Layer.empty,
  consumers: [{
    durable: `clusterer-${name}`,
    filters: (["run.requested", "backbone.extracted", "epoch.validated", "features.extracted"] as const)
      .map((type) => subjects.of(type, name)),
    handler: handle,
  }],
  background: [Effect.flatMap(Bus, (bus) =>
    bus.answer(discoverySubject.clusterer, {
      ...{
        v: CONTRACT_VERSION,
        name,
        version: "0",
        instance: crypto.randomUUID(),
        description: "breaks the rules",
      },
      parameters: { type: "object", required: ["depth"] },
    }))],
});
