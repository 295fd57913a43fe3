import { Blobs, Bus, type BusError, type Outcome } from "@subtaxa/bus";
import {
  BlobRef,
  CONTRACT_VERSION,
  describeFailure,
  type Event,
  type EventOf,
  type Failure,
  type Manifest,
  progressSubject,
  subjects,
} from "@subtaxa/contracts";
import { DatasetError, importFolder } from "@subtaxa/dataset";
import { Effect, Schedule } from "effect";
import { z } from "zod";
import { importableFolder } from "./importable.ts";
import { isWithin, Settings } from "./settings.ts";
import { importWorkspace } from "./workspace.ts";

/** The events that the importer takes. */
export const importFilters = [subjects.of("dataset.requested")];

/** Milliseconds between two messages of progress. */
const progressEvery = 100;

/**
 * Imports the folder into shards and a manifest, as blobs, and says so. A folder that can't be a dataset is an outcome,
 * `dataset.failed`, with what was found in it; what may go better another time (the disk, the bus) is a failure.
 */
export const importDataset = (
  event: Event,
): Effect.Effect<Outcome, Failure, Bus | Blobs | Settings> =>
  event.type !== "dataset.requested" ? Effect.succeed({ events: [] }) : imported(event).pipe(
    Effect.catch((failure: Failure) => failure.retryable ? Effect.fail(failure) : failed(event, failure)),
    Effect.map((next) => ({ events: [next] })),
  );

/** Has no owner, so nothing removes it: the API reads it as long as the fact is in the log. */
const storeReport = (failure: Failure): Effect.Effect<BlobRef | null, BusError, Blobs> =>
  failure instanceof DatasetError && failure.report
    ? Effect.flatMap(Blobs, (blobs) => blobs.put(new TextEncoder().encode(JSON.stringify(failure.report))))
    : Effect.succeed(null);

const failed = (
  { dataset }: EventOf<"dataset.requested">,
  failure: Failure,
): Effect.Effect<Event, never, Blobs> =>
  Effect.gen(function* () {
    const error = describeFailure(failure);
    const head = { type: "dataset.failed", v: CONTRACT_VERSION, dataset } as const;
    return yield* storeReport(failure).pipe(
      Effect.retry({ times: 2, schedule: Schedule.spaced("1 second") }),
      Effect.map((report): Event => ({ ...head, at: new Date().toISOString(), error, report })),
      // a repetition of the whole import could hide why the folder can't be a dataset, so the import ends here
      Effect.catch(({ message }) => {
        const lost = `${error.message} (which files were rejected could not be stored: ${message})`;
        return Effect.succeed<Event>({
          ...head,
          at: new Date().toISOString(),
          error: { ...error, message: lost },
          report: null,
        });
      }),
    );
  });

const imported = (request: EventOf<"dataset.requested">) =>
  Effect.gen(function* () {
    const { dataset, path, maxSide, minClassImages, bitDepth, offset, pixelSize, onLabelConflict } = request;
    const { dataRoots } = yield* Settings;
    const report = yield* reporter(dataset);
    // asked again: a folder may have become a link since, and the message may come from elsewhere
    const folder = yield* importableFolder(path);
    const { manifest, shardFiles } = yield* importFolder({
      name: dataset,
      path: folder,
      maxSide,
      minClassImages,
      ...(bitDepth === null ? {} : { bitDepth }),
      ...(offset === null ? {} : { offset }),
      ...(pixelSize === null ? {} : { pixelSize }),
      onLabelConflict,
      isAllowed: (realPath) => dataRoots.some((root) => isWithin(root, realPath)),
      outputFolder: yield* importWorkspace,
      onProgress: report,
    });
    const ref = yield* store(manifest, shardFiles).pipe(
      Effect.onError(() => removeUnused(request, manifest.shards)),
    );
    return {
      type: "dataset.imported",
      v: CONTRACT_VERSION,
      at: new Date().toISOString(),
      dataset,
      manifest: ref,
      images: manifest.images.length,
      classes: manifest.classes.length,
      rejected: manifest.rejected.length,
    } satisfies Event;
  }).pipe(Effect.scoped);

/** Tells listeners how far the import is: at most ten times a second, and at the end. */
const reporter = (dataset: string) =>
  Effect.map(Bus, (bus) => {
    let last = 0;
    return (progress: { done: number; total: number; rejected: number }) => {
      const now = performance.now();
      if (now - last < progressEvery && progress.done < progress.total) return;
      last = now;
      Effect.runSync(bus.progress(progressSubject.dataset(dataset), { dataset, ...progress }));
    };
  });

const store = (manifest: Manifest, shardFiles: readonly string[]) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    for (const file of shardFiles) yield* blobs.putFile(file);
    return yield* blobs.put(new TextEncoder().encode(JSON.stringify(manifest)));
  });

/** What is read here of a manifest, of whichever version. */
const WithShards = z.object({ shards: z.array(BlobRef) });

const shardsIn = (manifest: BlobRef) =>
  Effect.gen(function* () {
    const bytes = yield* (yield* Blobs).get(manifest);
    return yield* Effect.try({
      try: () => WithShards.parse(JSON.parse(new TextDecoder().decode(bytes))).shards,
      catch: (cause) => new Error(`${manifest.key} is no dataset manifest`, { cause }),
    });
  });

/**
 * Removes the shards of an import that failed, except those that an earlier import found too. While another import is under way
 * all stay: equal shards are stored once, and it may count on these. Whoever imports the folder again finds them.
 */
const removeUnused = (
  request: EventOf<"dataset.requested">,
  shards: readonly BlobRef[],
): Effect.Effect<void, never, Bus | Blobs> =>
  Effect.gen(function* () {
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const requests = new Map<string, string>();
    const used = new Set<string>();
    for (const { event } of yield* bus.history(subjects.datasets)) {
      if (!("dataset" in event)) continue;
      if (event.type === "dataset.requested") requests.set(event.dataset, event.at);
      else requests.delete(event.dataset);
      if (event.type !== "dataset.imported") continue;
      for (const { key } of yield* shardsIn(event.manifest)) used.add(key);
    }
    if (requests.get(request.dataset) === request.at) requests.delete(request.dataset);
    if (requests.size > 0) return;
    for (const shard of shards) if (!used.has(shard.key)) yield* blobs.remove(shard);
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`shards of a failed import may be left: ${error.message}`)),
  );
