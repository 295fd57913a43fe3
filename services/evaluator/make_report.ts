import { Blobs, type BusError } from "@subtaxa/bus";
import {
  type ArtifactError,
  type BlobRef,
  decodeLabels,
  type Event,
  type Manifest,
} from "@subtaxa/contracts";
import { type DatasetError, datasetFiles, loadOriginals, readManifest, split } from "@subtaxa/dataset";
import { runLog, type RunLogError } from "@subtaxa/runs";
import { Effect, type Scope } from "effect";
import { type Gallery, galleryChoices, galleryOf, renderReport, thumbnail } from "./report/mod.ts";

const readLabels = (ref: BlobRef) =>
  Effect.gen(function* () {
    const bytes = yield* (yield* Blobs).get(ref);
    return yield* Effect.try({
      try: () => decodeLabels(bytes),
      catch: (cause) => cause as ArtifactError, // the only one that it throws
    });
  });

/**
 * The run's report as one HTML page, from its event log and the pseudo-labels, images and manifest that the log refers
 * to. `generatedAt` is ISO 8601.
 */
export const makeReport = (
  events: readonly Event[],
  generatedAt: string,
): Effect.Effect<string, BusError | DatasetError | ArtifactError | RunLogError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const log = yield* Effect.try({
      try: () => runLog(events),
      catch: (cause) => cause as RunLogError, // the only one that it throws
    });
    const manifest = yield* readManifest(log.spec.manifest);
    const { shardFiles } = yield* datasetFiles(log.spec.manifest);

    const choices = galleryChoices(log);
    const samples = new Map<string, ReturnType<typeof galleryOf>>();
    // one table shows many classes, and may be large: each is read once, and none is kept
    for (const shown of Map.groupBy(choices, ({ labels }) => labels.key).values()) {
      const table = yield* readLabels(shown[0]!.labels);
      for (const choice of shown) samples.set(choice.class, galleryOf(table, { class: choice.index }));
    }
    const shown = new Set([...samples.values()].flat().flatMap(({ images }) => images));
    const originals = yield* loadOriginals({ manifest, shardFiles: (shard) => shardFiles[shard]! }, shown);
    const thumbnails = yield* Effect.promise(async () =>
      new Map(
        await Promise.all(Array.from(originals, async ([index, { pixels, side, channels }]) =>
          [index, await thumbnail(pixels, side, channels)] as const)),
      )
    );
    const galleries: Gallery[] = choices.map(({ index: _i, labels: _l, ...choice }) => ({
      ...choice,
      subclasses: samples.get(choice.class)!.map(({ images, ...subclass }) => ({
        ...subclass,
        thumbnails: images.map((image) => ({
          source: thumbnails.get(image)!,
          image: manifest.images[image]!.path,
        })),
      })),
    }));
    const training = log.folds.map(({ fold }) => ({
      fold,
      images: trainingImages(manifest, log.spec, fold),
    }));
    return renderReport({ log, training, galleries, generatedAt });
  });

/** Number of training images per class. */
const trainingImages = (
  manifest: Manifest,
  spec: { seed: number; folds: number },
  fold: number,
): number[] => {
  const classOf = manifest.images.map((image) => image.class);
  const images = manifest.classes.map(() => 0);
  for (const index of split(classOf, { ...spec, fold }).train) images[classOf[index]!]!++;
  return images;
};
