import { Blobs, type Bus, type Outcome } from "@subtaxa/bus";
import { type Event, type Failure, following } from "@subtaxa/contracts";
import { datasetFiles } from "@subtaxa/dataset";
import { optionalFile, progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import type { ExtractorWork } from "./worker.ts";

/** The thread that computes embeddings. */
export class Extractor
  extends Context.Service<Extractor, TensorWorker<ExtractorWork>>()("subtaxa/Extractor") {
  static readonly layer = Layer.effect(
    Extractor,
    TensorWorker.make<ExtractorWork>(new URL("./worker.ts", import.meta.url)),
  );
}

/**
 * Algorithm 1, "Extract features of the images in the training data", for the classes that may be split.
 * `adaptation.planned` → `features.extracted`.
 */
export const extract = (event: Event): Effect.Effect<Outcome, Failure, Extractor | Bus | Blobs> =>
  Effect.scoped(Effect.gen(function* () {
    if (event.type !== "adaptation.planned") return yield* unexpected(event);
    const blobs = yield* Blobs;
    const worker = yield* Extractor;
    const { runId, spec, fold, epoch, state, classes } = event;
    const outputFile = yield* scratchFile;
    const checkpointFile = yield* optionalFile(state.checkpoint);
    if (!checkpointFile) return yield* unexpected(event);
    yield* worker.call("embed", {
      spec,
      fold,
      ...(yield* datasetFiles(spec.manifest)),
      checkpointFile,
      classes,
      outputFile,
    }, { onProgress: yield* progressOf({ runId, fold, epoch, step: "extract", splitting: classes }) });
    const features = yield* blobs.putFile(outputFile, runId);
    const extracted: Event = {
      ...following(event),
      type: "features.extracted",
      at: yield* timestamp,
      features,
    };
    return { events: [extracted] };
  }));
