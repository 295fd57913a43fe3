// Two services for the tests of tracing, chosen by RELAY: "trainer" → "evaluator" → "trainer", each a step of the loop
// without tensors. The evaluator fails at its first delivery; the trainer goes on training the run "held".
import { Blobs } from "@subtaxa/bus";
import { type Event, following, isFoldEvent, subjects } from "@subtaxa/contracts";
import { Effect, Layer } from "effect";
import { progressOf, runService, timestamp, unexpected } from "../mod.ts";

const train = (event: Event) =>
  Effect.gen(function* () {
    if (!isFoldEvent(event)) return yield* unexpected(event);
    if (event.epoch > 0) return { events: [] };
    const blobs = yield* Blobs;
    yield* Effect.scoped(blobs.file(yield* blobs.put(new Uint8Array(1000))));
    const report = yield* progressOf({ runId: event.runId, fold: event.fold, epoch: 1, step: "train" });
    report({ done: 1, total: 2, loss: 0.5, imagesPerSecond: 250 });
    if (event.runId === "held") yield* Effect.sleep("10 minutes");
    const trained: Event = {
      ...following(event),
      type: "epoch.trained",
      at: yield* timestamp,
      epoch: 1,
      training: { loss: 1, crossEntropy: 1, images: 1, seconds: 1, subclasses: 2 },
    };
    return { events: [trained] };
  });

const zeros = {
  accuracy: 0,
  precision: 0,
  recall: 0,
  fScore: 0,
  falseNegativeVariance: 0,
  falsePositiveVariance: 0,
  falsePositiveRateVariance: 0,
  falseDiscoveryRateVariance: 0,
  perfectClasses: 0,
};

let deliveries = 0;
const evaluate = (event: Event) =>
  Effect.gen(function* () {
    if (!isFoldEvent(event)) return yield* unexpected(event);
    if (++deliveries === 1) {
      const message = "the first delivery fails";
      return yield* Effect.fail({ _tag: "Relay", reason: { _tag: "First" }, message, retryable: true });
    }
    const validated: Event = {
      ...following(event),
      type: "epoch.validated",
      at: yield* timestamp,
      loss: 1,
      metrics: zeros,
      confusion: [[1, 0], [0, 1]],
      falseNegatives: [0, 0],
      converged: null,
    };
    return { events: [validated] };
  });

const consumers = {
  trainer: {
    durable: "trainer",
    filters: [subjects.of("run.requested", "train"), subjects.of("epoch.validated", "train")],
    handler: train,
  },
  evaluator: {
    durable: "evaluator",
    filters: [subjects.of("epoch.trained", "validate")],
    handler: evaluate,
  },
};

const name = Deno.env.get("RELAY") === "trainer" ? "trainer" : "evaluator";
runService({ name, layer: Layer.empty, consumers: [consumers[name]] });
