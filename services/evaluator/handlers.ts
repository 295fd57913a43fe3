import { Blobs, Bus, optionalFile, type Outcome } from "@subtaxa/bus";
import {
  type ArtifactError,
  type BlobRef,
  decodePredictions,
  type Event,
  type EventOf,
  type Failure,
  following,
  subjects,
} from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import { inShards, outdated, type ShardedStep, timestamp, unexpected, withShards } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import { converge, dethroned } from "./convergence.ts";
import { makeReport } from "./make_report.ts";
import { joinFolds, scoresOf } from "./scores.ts";
import type { EvaluatorWork } from "./worker.ts";

/** The thread that classifies. */
export class Evaluator
  extends Context.Service<Evaluator, TensorWorker<EvaluatorWork>>()("subtaxa/Evaluator") {
  static readonly layer = Layer.effect(
    Evaluator,
    TensorWorker.make<EvaluatorWork>(new URL("./worker.ts", import.meta.url)),
  );
}

type Needs = Evaluator | Bus | Blobs;
type Handling = Effect.Effect<Outcome, Failure, Needs>;

/** The class probabilities of one part of the fold's images by one checkpoint. */
const classifying = <E extends EventOf<"epoch.trained" | "epoch.validated">>(
  part: "validation" | "test",
  checkpointOf: (event: E) => BlobRef | undefined | null,
): Omit<ShardedStep<E, Needs>, "finish"> => ({
  measure: (event) =>
    Effect.gen(function* () {
      return yield* (yield* Evaluator).call("measure", { ...(yield* runDataFiles(event)), part });
    }),
  work: (event, { range, outputFile, onProgress }) =>
    Effect.gen(function* () {
      const checkpointFile = yield* optionalFile(checkpointOf(event) ?? null);
      if (checkpointFile === null) return yield* unexpected(event);
      yield* (yield* Evaluator).call("classify", {
        ...(yield* runDataFiles(event)),
        part,
        checkpointFile,
        range,
        outputFile,
      }, { onProgress });
    }),
  concatenate: (_, files, outputFile) =>
    Effect.flatMap(Evaluator, (worker) => worker.call("concatenate", { files, outputFile })),
});

/** How well the images in a table of predictions were recognised. */
const scoresIn = (file: string) =>
  Effect.gen(function* () {
    const bytes = yield* Effect.promise(() => Deno.readFile(file));
    const predictions = yield* Effect.try({
      try: () => decodePredictions(bytes),
      catch: (cause) => cause as ArtifactError, // the only one that it throws
    });
    return scoresOf(predictions);
  });

/**
 * Algorithm 1, "Perform validation and get the normalised confusion matrix", and whether the training has converged.
 * `epoch.trained` → `epoch.validated`.
 */
const validation: ShardedStep<EventOf<"epoch.trained">, Needs> = {
  ...classifying("validation", ({ state }) => state.checkpoint),
  finish: (event, file) =>
    Effect.gen(function* () {
      const { spec, epoch, state } = event;
      const { loss, metrics, confusion, falseNegatives } = yield* scoresIn(file);
      const { checkpoint, labels } = state;
      if (checkpoint === null) return yield* unexpected(event);
      const { best, converged } = converge(
        state.best,
        { epoch, fScore: metrics.fScore, checkpoint, labels },
        spec,
      );
      const validated: Event = {
        ...following(event),
        type: "epoch.validated",
        at: yield* timestamp,
        state: { ...state, best },
        loss,
        metrics,
        confusion,
        falseNegatives,
        converged,
      };
      return { events: [validated], obsolete: dethroned(state.best, best) };
    }),
};

/** The best checkpoint on the held-out images. `epoch.validated`, converged → `fold.completed`. */
const scoring: ShardedStep<EventOf<"epoch.validated">, Needs> = {
  ...classifying("test", ({ state }) => state.best?.checkpoint),
  finish: (event, file) =>
    Effect.gen(function* () {
      const { metrics, confusion } = yield* scoresIn(file);
      const completed: Event = {
        ...following(event),
        type: "fold.completed",
        at: yield* timestamp,
        metrics,
        confusion,
        predictions: yield* (yield* Blobs).putFile(file),
      };
      return { events: [completed], obsolete: outdated(event.state) };
    }),
};

/** The last fold to be completed ends the run. `fold.completed` → `run.completed`, or nothing yet. */
const join = (event: EventOf<"fold.completed">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const events = (yield* bus.history(subjects.run(event.runId))).map((fact) => fact.event);
    const completed = events.filter((event) => event.type === "fold.completed");
    const metrics = joinFolds(event.spec, completed);
    if (!metrics) return { events: [] };
    const at = yield* timestamp;
    const report = yield* blobs.put(new TextEncoder().encode(yield* makeReport(events, at)));
    return { events: [{ v: event.v, type: "run.completed", at, runId: event.runId, metrics, report }] };
  }));

export const evaluate = withShards<Needs>((event, shard) => {
  switch (event.type) {
    case "epoch.trained":
      return inShards(validation, event, shard);
    case "epoch.validated":
      return inShards(scoring, event, shard);
    case "fold.completed":
      return join(event);
    default:
      return unexpected(event);
  }
});
