import { Blobs, type Bus, type BusError, KeyValue, optionalFile, type Outcome } from "@subtaxa/bus";
import { BlobRef, type Event, type EventOf, type Failure, following } from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import { ownerOf, progressOf, scratchFile, timestamp, unexpected } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Context, Effect, Layer } from "effect";
import { createHash } from "node:crypto";
import type { ExtractorWork } from "./worker.ts";

/** The thread that computes embeddings. */
export class Extractor
  extends Context.Service<Extractor, TensorWorker<ExtractorWork>>()("subtaxa/Extractor") {
  static readonly layer = Layer.effect(
    Extractor,
    TensorWorker.make<ExtractorWork>(new URL("./worker.ts", import.meta.url)),
  );
}

type Handling = Effect.Effect<Outcome, Failure, Extractor | Bus | Blobs | KeyValue>;

/**
 * Algorithm 1, "Extract features of the images in the training data", for the classes that may be split.
 * `adaptation.planned` → `features.extracted`.
 */
const extractEmbeddings = (event: EventOf<"adaptation.planned">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const blobs = yield* Blobs;
    const worker = yield* Extractor;
    const { runId, spec, fold, epoch, state, classes } = event;
    const outputFile = yield* scratchFile;
    const imagesFile = yield* scratchFile;
    yield* worker.call("embed", {
      ...(yield* runDataFiles(event)),
      checkpointFile: yield* optionalFile(state.checkpoint),
      pretrainedFile: state.checkpoint ? null : yield* optionalFile(spec.pretrained),
      classes,
      outputFile,
      imagesFile,
    }, { onProgress: yield* progressOf({ runId, fold, epoch, step: "extract", splitting: classes }) });
    const features = yield* blobs.putFile(outputFile, ownerOf(event));
    const extracted: Event = {
      ...following(event),
      type: "features.extracted",
      at: yield* timestamp,
      features,
      // the same in every epoch, so it has no owner: it is stored once
      images: yield* blobs.putFile(imagesFile),
    };
    return { events: [extracted] };
  }));

/** Where the features of a frozen backbone are noted, for the other folds and runs on the same images. */
const noteOf = (...parts: readonly (string | number)[]): string =>
  `backbone.${createHash("sha256").update(parts.join("/")).digest("hex")}`;

/** The features that were noted, if they can still be read. */
const noted = (note: string): Effect.Effect<BlobRef | null, BusError, Blobs | KeyValue> =>
  Effect.gen(function* () {
    const text = yield* (yield* KeyValue).get(note);
    if (text === null) return null;
    const ref = BlobRef.parse(JSON.parse(text));
    const blobs = yield* Blobs;
    return yield* blobs.file(ref).pipe(
      Effect.as(ref),
      Effect.catch((cause) =>
        cause.retryable
          ? Effect.fail(cause)
          : Effect.as(Effect.flatMap(KeyValue, (kv) => kv.remove(note)), null)
      ),
    );
  });

/**
 * `freeze: "backbone"`: what the pretrained network makes of every image, once and for all folds and runs.
 * `run.requested` → `backbone.extracted`.
 */
const extractBackbone = (event: EventOf<"run.requested">): Handling =>
  Effect.scoped(Effect.gen(function* () {
    const { runId, spec, fold, epoch, state } = event;
    if (spec.pretrained === null) return yield* unexpected(event);
    const blobs = yield* Blobs;
    const note = noteOf(spec.manifest.sha256, spec.pretrained.sha256, spec.imageSize);
    let frozen = yield* noted(note);
    if (frozen === null) {
      const outputFile = yield* scratchFile;
      yield* (yield* Extractor).call("backbone", {
        ...(yield* runDataFiles(event)),
        pretrainedFile: yield* blobs.file(spec.pretrained),
        outputFile,
      }, { onProgress: yield* progressOf({ runId, fold, epoch, step: "backbone" }) });
      frozen = yield* blobs.putFile(outputFile);
      yield* (yield* KeyValue).claim(note, JSON.stringify(frozen));
    }
    const extracted: Event = {
      ...following(event),
      type: "backbone.extracted",
      at: yield* timestamp,
      state: { ...state, frozen },
    };
    return { events: [extracted] };
  }));

export const extract = (event: Event): Handling => {
  switch (event.type) {
    case "run.requested":
      return extractBackbone(event);
    case "adaptation.planned":
      return extractEmbeddings(event);
    default:
      return unexpected(event);
  }
};
