import { Blobs, Bus, type BusError, KeyValue, optionalFile, type Outcome } from "@subtaxa/bus";
import {
  BlobRef,
  type Event,
  type EventOf,
  type Failure,
  following,
  type ShardEvent,
  subjects,
} from "@subtaxa/contracts";
import { runDataFiles } from "@subtaxa/model";
import {
  inShards,
  ownerOf,
  portionsDone,
  scratchFile,
  type ShardedStep,
  timestamp,
  unexpected,
  withShards,
} from "@subtaxa/service";
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

type Needs = Extractor | Bus | Blobs | KeyValue;
type Handling = Effect.Effect<Outcome, Failure, Needs>;

/**
 * Algorithm 1, "Extract features of the images in the training data", for the classes that may be split.
 * `adaptation.planned` → `features.extracted`.
 */
const embeddings: ShardedStep<EventOf<"adaptation.planned">, Needs> = {
  measure: (event) =>
    Effect.gen(function* () {
      const { classes } = event;
      return yield* (yield* Extractor).call("measureClasses", { ...(yield* runDataFiles(event)), classes });
    }),
  work: (event, { range, outputFile, onProgress }) =>
    Effect.gen(function* () {
      const { spec, state, classes } = event;
      yield* (yield* Extractor).call("embed", {
        ...(yield* runDataFiles(event)),
        checkpointFile: yield* optionalFile(state.checkpoint),
        pretrainedFile: state.checkpoint ? null : yield* optionalFile(spec.pretrained),
        classes,
        range,
        outputFile,
      }, { onProgress });
    }),
  concatenate: (event, files, outputFile) =>
    Effect.gen(function* () {
      const data = yield* runDataFiles(event);
      yield* (yield* Extractor).call("concatenate", { ...data, classes: event.classes, files, outputFile });
    }),
  finish: (event, file) =>
    Effect.gen(function* () {
      const blobs = yield* Blobs;
      const imagesFile = yield* scratchFile;
      yield* (yield* Extractor).call("listImages", {
        ...(yield* runDataFiles(event)),
        outputFile: imagesFile,
      });
      const extracted: Event = {
        ...following(event),
        type: "features.extracted",
        at: yield* timestamp,
        features: yield* blobs.putFile(file, ownerOf(event)),
        // the same in every epoch, so it has no owner: it is stored once
        images: yield* blobs.putFile(imagesFile),
      };
      return { events: [extracted] };
    }),
  splitting: ({ classes }) => classes,
};

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
    return yield* Effect.scoped(blobs.file(ref)).pipe(
      Effect.as(ref),
      Effect.catch((cause) =>
        cause.retryable
          ? Effect.fail(cause)
          : Effect.as(Effect.flatMap(KeyValue, (kv) => kv.remove(note)), null)
      ),
    );
  });

/**
 * The features are known: the folds of the run that wait for them, which are the same for all, go on. This one's fact comes last: until it
 * stands, the message is handled again.
 */
const goOn = (event: EventOf<"run.requested">, frozen: BlobRef): Handling =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const { runId, spec, state } = event;
    const others = Array.from({ length: spec.folds }, (_, fold) => fold).filter((fold) =>
      fold !== event.fold
    );
    const waiting = yield* Effect.filter(others, (fold) =>
      Effect.map(
        bus.newest(subjects.fold(runId, fold)),
        (newest) => newest?.subject.startsWith("subtaxa.run.requested.") === true,
      ), { concurrency: "unbounded" });
    const at = yield* timestamp;
    return {
      events: [...waiting, event.fold].map((fold): Event => ({
        ...following(event),
        type: "backbone.extracted",
        at,
        fold,
        state: { ...state, frozen },
      })),
    };
  });

const backboneNote = ({ manifest, pretrained, imageSize, views }: EventOf<"run.requested">["spec"]) =>
  noteOf(manifest.sha256, pretrained?.sha256 ?? "", imageSize, views);

const backboneFeatures: ShardedStep<EventOf<"run.requested">, Needs> = {
  measure: (event) =>
    Effect.gen(function* () {
      return yield* (yield* Extractor).call("measureAll", yield* runDataFiles(event));
    }),
  work: (event, { range, outputFile, onProgress }) =>
    Effect.gen(function* () {
      const pretrainedFile = yield* optionalFile(event.spec.pretrained);
      if (pretrainedFile === null) return yield* unexpected(event);
      yield* (yield* Extractor).call("backbone", {
        ...(yield* runDataFiles(event)),
        pretrainedFile,
        range,
        outputFile,
      }, { onProgress });
    }),
  concatenate: (event, files, outputFile) =>
    Effect.gen(function* () {
      const data = yield* runDataFiles(event);
      yield* (yield* Extractor).call("concatenateBackbone", { ...data, files, outputFile });
    }),
  finish: (event, file) =>
    Effect.gen(function* () {
      const frozen = yield* (yield* Blobs).putFile(file);
      yield* (yield* KeyValue).claim(backboneNote(event.spec), JSON.stringify(frozen));
      return yield* goOn(event, frozen);
    }),
};

/**
 * `freeze: "backbone"`: what the pretrained network makes of every view of every image, once and for all folds and runs.
 * `run.requested` → `backbone.extracted`.
 */
const extractBackbone = (event: EventOf<"run.requested">, shard?: ShardEvent): Handling =>
  Effect.gen(function* () {
    if (event.spec.pretrained === null) return yield* unexpected(event);
    const frozen = yield* noted(backboneNote(event.spec));
    if (frozen !== null) {
      // another run may have been quicker: then what was done here is for nothing
      const { events } = yield* goOn(event, frozen);
      return { events, obsolete: shard ? yield* portionsDone(event, shard) : [] };
    }
    if (event.fold > 0 && !shard) {
      // the first fold has it done for all of them
      const first = yield* (yield* Bus).newest(subjects.fold(event.runId, 0));
      if (first?.subject.startsWith("subtaxa.run.requested.")) return { events: [] };
    }
    return yield* inShards(backboneFeatures, event, shard);
  });

export const extract = withShards<Needs>((event, shard) => {
  switch (event.type) {
    case "run.requested":
      return extractBackbone(event, shard);
    case "adaptation.planned":
      return inShards(embeddings, event, shard);
    default:
      return unexpected(event);
  }
});
