import { Blobs, type BusError, optionalFile } from "@subtaxa/bus";
import type { FoldEvent } from "@subtaxa/contracts";
import { type DatasetError, datasetFiles } from "@subtaxa/dataset";
import { Effect, type Scope } from "effect";
import type { RunDataInput } from "./run_data.ts";

/**
 * Brings what a fold's data are made from into the local cache, where it stays until the scope ends: the dataset's manifest and either its shards or, where the
 * backbone is frozen, the features that stand for the images.
 */
export const runDataFiles = (
  { spec, fold, state: { frozen } }: FoldEvent,
): Effect.Effect<RunDataInput, BusError | DatasetError, Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const frozenFile = yield* optionalFile(frozen);
    const blobs = yield* Blobs;
    const files = frozenFile === null
      ? yield* datasetFiles(spec.manifest)
      : { manifestFile: yield* blobs.file(spec.manifest), shardFiles: [], cacheFolder: blobs.cacheFolder };
    return { spec, fold, ...files, frozenFile };
  });
