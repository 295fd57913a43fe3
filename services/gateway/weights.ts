import { Blobs, type BusError } from "@subtaxa/bus";
import type { BlobRef, Failure, RunRequest } from "@subtaxa/contracts";
import { scratchFile } from "@subtaxa/service";
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { importableFile } from "./importable.ts";
import { fieldProblem, type ProblemError, unavailable } from "./problem.ts";
import type { Settings } from "./settings.ts";
import type { WeightsWork } from "./weights_worker.ts";

/** What is answered; null where it is nothing that the request could have caused. */
export const weightsProblem = ({ _tag, reason, message, retryable }: Failure): ProblemError | null => {
  if (retryable) return unavailable(message);
  if (_tag !== "ModelError") return null;
  const kind = reason._tag === "NotFetched" ? "weights-not-fetched" : "unusable-weights";
  return fieldProblem(kind, "weights", message);
};

/** Megabytes fetched, each tenth of the whole once. */
const logFetching = (backbone: string) => {
  let told = 0;
  return ({ done, total }: { done: number; total: number }) => {
    const tenth = Math.floor(10 * done / total);
    if (tenth === told) return;
    told = tenth;
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
    Effect.runFork(
      Effect.logInfo(`fetching weights for ${backbone}: ${megabytes(done)} of ${megabytes(total)} MB`),
    );
  };
};

/**
 * The weights that a run starts from, in Subtaxa's own form, as a blob; null for random ones. They are read in a thread
 * that lasts as long as that takes.
 */
export const pretrainedOf = (
  { weights, backbone }: Pick<RunRequest, "weights" | "backbone">,
): Effect.Effect<BlobRef | null, ProblemError | BusError, Settings | Blobs> =>
  Effect.scoped(Effect.gen(function* () {
    if (weights === "random") return null;
    const file = weights === "imagenet" ? null : yield* importableFile(weights, "weights");
    const outputFile = yield* scratchFile;
    const worker = yield* TensorWorker.make<WeightsWork>(new URL("./weights_worker.ts", import.meta.url));
    yield* worker.call("convert", { backbone, file, outputFile }, { onProgress: logFetching(backbone) }).pipe(
      Effect.catch((failure) => {
        const problem = weightsProblem(failure);
        return problem ? Effect.fail(problem) : Effect.die(failure);
      }),
    );
    return yield* (yield* Blobs).putFile(outputFile);
  }));
