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
import { Context, Effect, Layer, Stream } from "effect";
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
  concatenate: (event, files, outputFile) =>
    Effect.gen(function* () {
      const data = yield* runDataFiles(event);
      yield* (yield* Evaluator).call("concatenate", { ...data, part, files, outputFile });
    }),
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

/**
 * The last fold to be completed ends the run. `fold.completed` → `run.completed`, or nothing yet. Every fold asks the
 * stream's leader for all of them when it is completed, and the one that came last goes on: that one sees all others.
 */
const join = (event: EventOf<"fold.completed">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const { runId, spec, fold, v } = event;
    const bus = yield* Bus;
    const newest = yield* Effect.forEach(
      Array.from({ length: spec.folds }, (_, k) => k),
      (k) => bus.newestFact(subjects.fold(runId, k)),
      { concurrency: "unbounded" },
    );
    const last = Math.max(...newest.map((fact) => fact?.seq ?? 0));
    const completed = newest.map((fact) => fact?.event).filter((fact) => fact?.type === "fold.completed");
    const metrics = joinFolds(spec, completed);
    if (!metrics || newest[fold]!.seq < last) return { events: [] };
    // read up to what the leader knows: a replica that the facts are read from may be behind
    const facts = yield* bus.facts({ filter: subjects.run(runId) }).pipe(
      Stream.takeUntil(({ seq }) => seq >= last),
      Stream.map((fact) => fact.event),
      Stream.runCollect,
    );
    const at = yield* timestamp;
    const report = yield* (yield* Blobs).put(new TextEncoder().encode(yield* makeReport(facts, at)));
    return { events: [{ v, type: "run.completed", at, runId, metrics, report }] };
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
