import { decodeLabels } from "@subtaxa/contracts";
import {
  type BatchProgress,
  decodeCheckpoint,
  encodeCheckpoint,
  encodeOptimizer,
  firstCheckpoint,
  requireSameRun,
  type RunDataInput,
  runDataLoader,
  type TrainingState,
  withOptimizer,
} from "@subtaxa/model";
import { serveTensorWork, type WorkContext } from "@subtaxa/tensorflow";
import { createHash } from "node:crypto";
import { trainEpoch, type TrainingSummary } from "./epoch.ts";

export interface TrainInput extends RunDataInput {
  /** The epoch to train, from 1. */
  readonly epoch: number;
  /** As the previous epoch left it; null before the first, where the network starts from `pretrainedFile`, if there is one. */
  readonly previous: Readonly<Record<Part, Stored>> | null;
  readonly pretrainedFile: string | null;
  readonly labelsFile: string | null;
  /** Where the new state goes. */
  readonly outputFiles: Readonly<Record<Part, string>>;
}

/** The state of the training is two files: what classifies, and what only the next epoch needs. */
type Part = "checkpoint" | "optimizer";

export interface Stored {
  readonly file: string;
  readonly sha256: string;
}

/** The optimizer's part has been written, while the statistics are still being measured: its SHA-256. */
export interface OptimizerWritten {
  readonly optimizer: string;
}

export interface TrainOutput {
  readonly training: TrainingSummary;
  /** SHA-256 of the files that were written. */
  readonly sha256: Readonly<Record<Part, string>>;
}

const { load } = runDataLoader({ eachView: true });

/** The state that was written last: usually the one that the next epoch asks for. */
let warm: { readonly sha256: TrainOutput["sha256"]; readonly state: TrainingState } | undefined;

const stateOf = async ({ checkpoint, optimizer }: Readonly<Record<Part, Stored>>): Promise<TrainingState> => {
  if (warm?.sha256.checkpoint === checkpoint.sha256 && warm.sha256.optimizer === optimizer.sha256) {
    return warm.state;
  }
  const read = decodeCheckpoint(await Deno.readFile(checkpoint.file), checkpoint.file);
  return withOptimizer(read, await Deno.readFile(optimizer.file), optimizer.file);
};

const write = (file: string, bytes: Uint8Array): string => {
  Deno.writeFileSync(file, bytes);
  return createHash("sha256").update(bytes).digest("hex");
};

const operations = {
  /** Trains one epoch and writes the state that it ends with. */
  train: async (
    input: TrainInput,
    context: WorkContext<BatchProgress | OptimizerWritten>,
  ): Promise<TrainOutput> => {
    const { spec, fold, epoch, previous, pretrainedFile, labelsFile, outputFiles } = input;
    const data = await load(input);
    const start = previous === null
      ? firstCheckpoint(spec, fold, pretrainedFile, data)
      : await stateOf(previous);
    if (previous !== null) requireSameRun(start, spec, previous.checkpoint.file);
    const labels = labelsFile === null ? null : decodeLabels(await Deno.readFile(labelsFile));
    let optimizer = "";
    const { state, training } = trainEpoch(
      { spec, fold, epoch, data, start, labels },
      context,
      (trained) => {
        optimizer = write(outputFiles.optimizer, encodeOptimizer(trained));
        context.progress({ optimizer });
      },
    );
    const sha256 = { checkpoint: write(outputFiles.checkpoint, encodeCheckpoint(state)), optimizer };
    warm = { sha256, state };
    return { training, sha256 };
  },
};

export type TrainerWork = typeof operations;
serveTensorWork(operations);
