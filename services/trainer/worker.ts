import { decodeLabels } from "@subtaxa/contracts";
import {
  type BatchProgress,
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  firstCheckpoint,
  requireSameRun,
  type RunDataInput,
  runDataLoader,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";
import { createHash } from "node:crypto";
import { trainEpoch, type TrainingSummary } from "./epoch.ts";

export interface TrainInput extends RunDataInput {
  /** The epoch to train, from 1. */
  readonly epoch: number;
  /** As the previous epoch left it; null before the first, where the network starts from `pretrainedFile`, if there is one. */
  readonly checkpointFile: string | null;
  readonly pretrainedFile: string | null;
  readonly labelsFile: string | null;
  /** Gets the new checkpoint. */
  readonly outputFile: string;
}

const { load } = runDataLoader();
const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The checkpoint that was written last: usually the one that the next epoch asks for. */
let warm: { readonly sha256: string; readonly checkpoint: Checkpoint } | undefined;

const checkpointAt = async (file: string): Promise<Checkpoint> => {
  const bytes = await Deno.readFile(file);
  return warm?.sha256 === hashOf(bytes) ? warm.checkpoint : decodeCheckpoint(bytes, file);
};

const operations = {
  /** Trains one epoch and writes the checkpoint that it ends with. */
  train: async (input: TrainInput, context: WorkContext<BatchProgress>): Promise<TrainingSummary> => {
    const { spec, fold, epoch, checkpointFile, pretrainedFile, labelsFile, outputFile } = input;
    const data = await load(input);
    const start = checkpointFile === null
      ? firstCheckpoint(spec, fold, pretrainedFile)
      : await checkpointAt(checkpointFile);
    if (checkpointFile !== null) requireSameRun(start, spec, checkpointFile);
    const labels = labelsFile === null ? null : decodeLabels(await Deno.readFile(labelsFile));
    const { checkpoint, training } = trainEpoch(
      { spec, fold, epoch, data, start, labels },
      context,
    );
    const bytes = encodeCheckpoint(checkpoint);
    await Deno.writeFile(outputFile, bytes);
    warm = { sha256: hashOf(bytes), checkpoint };
    return training;
  },
};

export type TrainerWork = typeof operations;
serveTensorWork(operations);
