import { Blobs, Bus, type Outcome } from "@subtaxa/bus";
import {
  type BlobRef,
  CONTRACT_VERSION,
  describeFailure,
  type Event,
  type EventOf,
  type Failure,
  type Manifest,
  progressSubject,
  subjects,
} from "@subtaxa/contracts";
import { importFolder, readManifest } from "@subtaxa/dataset";
import { Effect } from "effect";
import { importableFolder } from "./importable.ts";
import type { Settings } from "./settings.ts";
import { importWorkspace } from "./workspace.ts";

/** The events that the importer takes. */
export const importFilters = [subjects.of("dataset.requested")];

/** Milliseconds between two messages of progress. */
const progressEvery = 100;

/**
 * Imports the folder into shards and a manifest, as blobs, and says so. A folder that can't be a dataset is an outcome,
 * `dataset.failed`; what may go better another time (the disk, the bus) is a failure.
 */
export const importDataset = (
  event: Event,
): Effect.Effect<Outcome, Failure, Bus | Blobs | Settings> =>
  event.type !== "dataset.requested" ? Effect.succeed({ events: [] }) : imported(event).pipe(
    Effect.catch((failure: Failure) =>
      failure.retryable ? Effect.fail(failure) : Effect.succeed<Event>({
        type: "dataset.failed",
        v: CONTRACT_VERSION,
        at: new Date().toISOString(),
        dataset: event.dataset,
        error: describeFailure(failure),
      })
    ),
    Effect.map((next) => ({ events: [next] })),
  );

const imported = (request: EventOf<"dataset.requested">) =>
  Effect.gen(function* () {
    const { dataset, path, maxSide, minClassImages } = request;
    const report = yield* reporter(dataset);
    // asked again: a folder may have become a link since, and the message may come from elsewhere
    const folder = yield* importableFolder(path);
    const { manifest, shardFiles } = yield* importFolder({
      name: dataset,
      path: folder,
      maxSide,
      minClassImages,
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
      for (const { key } of (yield* readManifest(event.manifest)).shards) used.add(key);
    }
    if (requests.get(request.dataset) === request.at) requests.delete(request.dataset);
    if (requests.size > 0) return;
    for (const shard of shards) if (!used.has(shard.key)) yield* blobs.remove(shard);
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`shards of a failed import may be left: ${error.message}`)),
  );
