import { Blobs, type Bus, type BusError, optionalFile, type Outcome } from "@subtaxa/bus";
import { type BlobRef, type Event, type Failure, following, isFoldEvent } from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import { outdated, ownerOf, progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer, type Scope } from "effect";
import type { Stored, TrainerWork, TrainInput } from "./worker.ts";

/** The thread that holds the network. It stays warm between epochs. */
export class Trainer extends Context.Service<Trainer, TensorWorker<TrainerWork>>()("subtaxa/Trainer") {
  static readonly layer = Layer.effect(
    Trainer,
    TensorWorker.make<TrainerWork>(new URL("./worker.ts", import.meta.url)),
  );
}

const stored = (ref: BlobRef): Effect.Effect<Stored, BusError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    return { file: yield* (yield* Blobs).file(ref), sha256: ref.sha256 };
  });

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
    if ((state.checkpoint === null) !== (state.optimizer === null)) return yield* unexpected(event);
    const epoch = event.epoch + 1;
    const owner = ownerOf(event);
    const outputFiles = { checkpoint: yield* scratchFile, optimizer: yield* scratchFile };
    const tell = yield* progressOf({ runId: event.runId, fold, epoch, step: "train" });
    const written = Promise.withResolvers<string>();
    const input: TrainInput = {
      ...(yield* runDataFiles(event)),
      epoch,
      previous: state.checkpoint && state.optimizer && {
        checkpoint: yield* stored(state.checkpoint),
        optimizer: yield* stored(state.optimizer),
      },
      pretrainedFile: state.checkpoint ? null : yield* optionalFile(spec.pretrained),
      labelsFile: yield* optionalFile(state.labels),
      outputFiles,
    };
    const training = Effect.gen(function* () {
      const { training, sha256 } = yield* worker.call("train", input, {
        onProgress: (value) => "optimizer" in value ? written.resolve(value.optimizer) : tell(value),
      });
      const checkpoint = yield* blobs.putFile(outputFiles.checkpoint, owner, sha256.checkpoint);
      return { training, checkpoint };
    });
    // two thirds of the state are stored while the statistics of the weights are still being measured
    const storing = Effect.flatMap(
      Effect.promise(() => written.promise),
      (sha256) => blobs.putFile(outputFiles.optimizer, owner, sha256),
    );
    const [done, optimizer] = yield* Effect.all([training, storing], { concurrency: 2 });
    const trained: Event = {
      ...following(event),
      type: "epoch.trained",
      at: yield* timestamp,
      epoch,
      state: { ...state, checkpoint: done.checkpoint, optimizer },
      training: done.training,
    };
    return { events: [trained], obsolete: outdated(state) };
  }));
