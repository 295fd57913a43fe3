import { Blobs, Bus, optionalFile, type Outcome } from "@subtaxa/bus";
import {
  type ArtifactError,
  decodePredictions,
  type Event,
  type EventOf,
  type Failure,
  following,
  type RunProgress,
  subjects,
} from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import { progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import { converge } from "./convergence.ts";
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

type Handling = Effect.Effect<Outcome, Failure, Evaluator | Bus | Blobs>;

/** Class probabilities of one part of the fold's images, in a file that goes with the scope. */
const classify = (
  event: EventOf<"epoch.trained" | "epoch.validated">,
  part: "validation" | "test",
  step: RunProgress["step"],
) =>
  Effect.gen(function* () {
    const { runId, fold, epoch, state } = event;
    const checkpoint = part === "test" ? state.best?.checkpoint : state.checkpoint;
    const checkpointFile = yield* optionalFile(checkpoint ?? null);
    if (checkpointFile === null) return yield* unexpected(event);
    const outputFile = yield* scratchFile;
    yield* (yield* Evaluator).call("classify", {
      ...(yield* runDataFiles(event)),
      part,
      checkpointFile,
      outputFile,
    }, { onProgress: yield* progressOf({ runId, fold, epoch, step }) });
    const bytes = yield* Effect.promise(() => Deno.readFile(outputFile));
    const predictions = yield* Effect.try({
      try: () => decodePredictions(bytes),
      catch: (cause) => cause as ArtifactError, // the only one that it throws
    });
    return { outputFile, ...scoresOf(predictions) };
  });

/**
 * Algorithm 1, "Perform validation and get the normalised confusion matrix", and whether the training has converged.
 * `epoch.trained` → `epoch.validated`.
 */
const validate = (event: EventOf<"epoch.trained">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const { spec, epoch, state } = event;
    const { loss, metrics, confusion, falseNegatives } = yield* classify(event, "validation", "validate");
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
    const dethroned = state.best && best.epoch !== state.best.epoch ? [state.best.checkpoint] : [];
    return { events: [validated], obsolete: dethroned };
  }));

/** The best checkpoint on the held-out images. `epoch.validated`, converged → `fold.completed`. */
const score = (event: EventOf<"epoch.validated">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const { outputFile, metrics, confusion } = yield* classify(event, "test", "score");
    const predictions = yield* (yield* Blobs).putFile(outputFile);
    const completed: Event = {
      ...following(event),
      type: "fold.completed",
      at: yield* timestamp,
      metrics,
      confusion,
      predictions,
    };
    return { events: [completed] };
  }));

/** The last fold to be completed ends the run. `fold.completed` → `run.completed`, or nothing yet. */
const join = (event: EventOf<"fold.completed">): Handling =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const events = (yield* bus.history(subjects.run(event.runId))).map((fact) => fact.event);
    const completed = events.filter((event) => event.type === "fold.completed");
    const metrics = joinFolds(event.spec, completed);
    if (!metrics) return { events: [] };
    const at = yield* timestamp;
    const report = yield* blobs.put(new TextEncoder().encode(yield* makeReport(events, at)));
    return { events: [{ v: event.v, type: "run.completed", at, runId: event.runId, metrics, report }] };
  });

export const evaluate = (event: Event): Handling => {
  switch (event.type) {
    case "epoch.trained":
      return validate(event);
    case "epoch.validated":
      return score(event);
    case "fold.completed":
      return join(event);
    default:
      return unexpected(event);
  }
};
