import { Blobs, type Bus, optionalFile, type Outcome } from "@subtaxa/bus";
import { type Event, type Failure, following, isFoldEvent } from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import { ownerOf, progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import type { TrainerWork } from "./worker.ts";

/** The thread that holds the network. It stays warm between epochs. */
export class Trainer extends Context.Service<Trainer, TensorWorker<TrainerWork>>()("subtaxa/Trainer") {
  static readonly layer = Layer.effect(
    Trainer,
    TensorWorker.make<TrainerWork>(new URL("./worker.ts", import.meta.url)),
  );
}

/**
 * Algorithm 1, "Train the encoder network": one epoch on the pseudo-labels in force.
 * `run.requested`, `backbone.extracted`, `dataset.relabelled` or `epoch.validated` → `epoch.trained`.
 */
export const train = (event: Event): Effect.Effect<Outcome, Failure, Trainer | Bus | Blobs> =>
  Effect.scoped(Effect.gen(function* () {
    if (!isFoldEvent(event)) return yield* unexpected(event);
    const blobs = yield* Blobs;
    const worker = yield* Trainer;
    const { spec, fold, state } = event;
    const epoch = event.epoch + 1;
    const outputFile = yield* scratchFile;
    const training = yield* worker.call("train", {
      ...(yield* runDataFiles(event)),
      epoch,
      pretrainedFile: state.checkpoint ? null : yield* optionalFile(spec.pretrained),
      checkpointFile: yield* optionalFile(state.checkpoint),
      labelsFile: yield* optionalFile(state.labels),
      outputFile,
    }, { onProgress: yield* progressOf({ runId: event.runId, fold, epoch, step: "train" }) });
    const checkpoint = yield* blobs.putFile(outputFile, ownerOf(event));
    const trained: Event = {
      ...following(event),
      type: "epoch.trained",
      at: yield* timestamp,
      epoch,
      state: { ...state, checkpoint },
      training,
    };
    // only the best and the last checkpoint are kept
    const { checkpoint: former, best } = state;
    return { events: [trained], obsolete: former && former.key !== best?.checkpoint.key ? [former] : [] };
  }));
