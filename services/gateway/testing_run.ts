/** For tests: a run made up by hand, fact by fact, with real blobs. */
import { Blobs, Bus } from "@subtaxa/bus";
import {
  encodeLabels,
  encodePredictions,
  type Event,
  type EventOf,
  following,
  type Metrics,
  subjects,
} from "@subtaxa/contracts";
import { Effect } from "effect";
import { type Gateway, writeImages } from "./testing.ts";
import { join } from "node:path";

export const metrics: Metrics = {
  accuracy: 0.75,
  precision: 0.8,
  recall: 0.7,
  fScore: 0.74,
  falseNegativeVariance: 0.01,
  falsePositiveVariance: 0.02,
  falsePositiveRateVariance: 0.03,
  falseDiscoveryRateVariance: 0.04,
  perfectClasses: 1,
};

/** Imports two classes, `ash` and `birch`, of eight images each, as `trees`. */
export const importTrees = async (gateway: Gateway) => {
  await writeImages(join(gateway.root, "trees"), { ash: 8, birch: 8 });
  return await gateway.import("trees");
};

export const startRun = async (gateway: Gateway, request: Record<string, unknown> = {}): Promise<string> => {
  const response = await gateway.post("/v1/runs", { dataset: "trees", epochs: 2, ...request });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json() as { id: string }).id;
};

/** The request of a fold as it stands in the stream. */
export const requestOf = (gateway: Gateway, id: string, fold = 0): Promise<EventOf<"run.requested">> =>
  gateway.run(Effect.gen(function* () {
    const facts = yield* (yield* Bus).history(subjects.fold(id, fold));
    return facts[0]!.event as EventOf<"run.requested">;
  }));

/** What the services would publish for one fold of two epochs, `ash` being divided after the first. */
export const factsOf = async (gateway: Gateway, request: EventOf<"run.requested">): Promise<Event[]> => {
  const put = (bytes: Uint8Array) => gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.put(bytes)));
  const labels = await put(encodeLabels({
    image: Uint32Array.of(0, 1, 8),
    class: Uint16Array.of(0, 0, 1),
    cluster: Uint16Array.of(0, 1, 0),
    distance: Float32Array.of(0.5, 0.25, 0),
    subclasses: [{ class: 0, id: 0, from: 0 }, { class: 0, id: 1, from: 0 }, { class: 1, id: 0, from: 0 }],
    highestIds: [1, 0],
  }));
  const predictions = await put(encodePredictions({
    image: Uint32Array.of(2, 9),
    true: Uint16Array.of(0, 1),
    predicted: Uint16Array.of(0, 0),
    probability: Float32Array.of(0.75, 0.25, 0.5, 0.5),
    classes: 2,
  }));
  const at = (second: number) => new Date(Date.parse(request.at) + second * 1000).toISOString();
  const common = following(request);
  const training = { loss: 1.5, crossEntropy: 1.25, triplet: 0.25, images: 12, seconds: 3, subclasses: 2 };
  const validation = {
    loss: 0.5,
    metrics,
    confusion: [[1, 1], [0, 2]],
    falseNegatives: [0.5, 0],
  };
  /** The second epoch is no better. */
  const state = {
    ...request.state,
    best: { epoch: 1, fScore: metrics.fScore, checkpoint: labels, labels: null },
  };
  const divided = {
    ...state,
    labels,
    classes: request.state.classes.map((one, i) =>
      i === 0 ? { ...one, allowedClusters: 2, clusters: 2 } : one
    ),
  };
  const planned = {
    ...divided,
    labels: null,
    classes: divided.classes.map((one) => ({ ...one, clusters: 1 })),
  };
  const second = { ...common, epoch: 2, state: divided };
  return [
    { ...common, type: "epoch.trained", at: at(3), epoch: 1, training },
    { ...common, type: "epoch.validated", at: at(4), epoch: 1, state, ...validation, converged: null },
    { ...common, type: "adaptation.planned", at: at(5), epoch: 1, state: planned, classes: ["ash"] },
    {
      ...common,
      type: "features.extracted",
      at: at(6),
      epoch: 1,
      state: planned,
      features: labels,
      images: labels,
    },
    {
      ...common,
      type: "dataset.relabelled",
      at: at(7),
      epoch: 1,
      state: divided,
      changes: [{ class: "ash", from: 1, to: 2 }],
      agreement: 0.5,
      clusterer: { name: request.spec.clusterer, version: "1.2.0" },
    },
    { ...second, type: "epoch.trained", at: at(10), training: { ...training, loss: 1 } },
    { ...second, type: "epoch.validated", at: at(11), ...validation, converged: "epochs" },
    { ...second, type: "fold.completed", at: at(12), metrics, confusion: [[1, 0], [1, 0]], predictions },
  ];
};

export const completed = async (gateway: Gateway, request: EventOf<"run.requested">): Promise<Event> => {
  const html = new TextEncoder().encode("<!doctype html><title>report</title>");
  const report = await gateway.run(Effect.flatMap(Blobs, (blobs) => blobs.put(html)));
  const { v, runId } = request;
  return {
    type: "run.completed",
    v,
    at: new Date(Date.parse(request.at) + 13_000).toISOString(),
    runId,
    metrics,
    report,
  };
};
