import type { EventOf, Labels, RunSpec } from "@subtaxa/contracts";
import { usesTriplets } from "@subtaxa/contracts";
import {
  type BatchProgress,
  followLabels,
  type InputOptions,
  inputTensors,
  type NetworkInput,
  networkInput,
  type RunData,
  stopwatch,
  type TrainingState,
} from "@subtaxa/model";
import { type Random, random } from "@subtaxa/random";
import { tf, type WorkContext } from "@subtaxa/tensorflow";
import { type Assignment, assignmentOf } from "./assignment.ts";
import { TrainingError } from "./error.ts";
import { groupSensitiveTriplets, tripletLoss } from "./losses.ts";
import { groupedBatches, shuffledBatches } from "./sampler.ts";
import { type BatchLabels, type BatchLosses, Trainee, type TripletLoss } from "./trainee.ts";

export interface EpochInput {
  readonly spec: RunSpec;
  readonly fold: number;
  /** From 1. */
  readonly epoch: number;
  readonly data: RunData;
  /** As the previous epoch left it, or as a new model begins. */
  readonly start: TrainingState;
  /** The pseudo-labels in force; null while every class is whole. */
  readonly labels: Labels | null;
}

/** Seconds that an epoch's steps took, and of them those in which TensorFlow waited for a batch and its labels. */
export interface StepSeconds {
  readonly steps: number;
  readonly waiting: number;
}

export type TrainingSummary = EventOf<"epoch.trained">["training"];

/** Batch statistics come from at most this many of the training images. */
const MEASURED_IMAGES = 2000;

/** Random streams of an epoch: what one draws does not move another. */
const streams = { headNoise: 0x7101, order: 0x7102, augmentation: 0x7103, measured: 0x7104, views: 0x7105 };

/**
 * One epoch of the paper's Algorithm 1, "Train the encoder network", in its order: the head takes the shape of the
 * pseudo-labels; Adam steps over batches with cross-entropy over the sub-classes, plus the triplet loss where the method has
 * it; then the batch statistics of the final weights are measured. What it does depends on its input alone. `onWeights` is
 * told the state before that, all final but the statistics, so that the optimizer's part can be stored meanwhile.
 *
 * Throws `TrainingError`: `Diverged` on a loss that is not finite, `Cancelled` within one batch of being cancelled.
 */
export const trainEpoch = (
  { spec, fold, epoch, data, start, labels }: EpochInput,
  { cancelled, progress }: WorkContext<BatchProgress>,
  onWeights: (state: TrainingState) => void = () => undefined,
): { readonly state: TrainingState; readonly training: TrainingSummary; readonly seconds: StepSeconds } => {
  const started = performance.now();
  const stream = (use: keyof typeof streams) => random(spec.seed, fold, epoch, streams[use]);
  const stopIfCancelled = () => {
    if (cancelled()) throw TrainingError.cancelled();
  };
  const { classOf, split: { train } } = data;
  const assignment = assignmentOf(labels, train, classOf, spec);

  const head = followLabels(start.head, assignment.rows, {
    random: stream("headNoise"),
    noise: spec.headNoise,
  });
  const triplets = tripletLossOf(spec);
  const trainee = new Trainee({ ...start, head, epoch }, triplets);
  try {
    const options: InputOptions = {
      augmentation: { augment: spec.augmentation, random: stream("augmentation") },
      views: stream("views"),
    };
    const batches = batchesOf(spec, assignment, stream("order"));
    const measure = stopwatch(train.length, batches.length);
    const means = new RunningMeans();
    const steps = new Watch();
    const waiting = new Watch();
    steps.start();
    for (const [b, positions] of batches.entries()) {
      stopIfCancelled();
      const rate = learningRateAt(spec, epoch - 1 + b / batches.length);
      waiting.start();
      const batch = {
        input: networkInput(data, positions.map((position) => train[position]!), start, options),
        labels: labelsOf(positions, assignment),
      };
      waiting.stop();
      const losses = trainBatch(trainee, batch, rate);
      if (!Number.isFinite(losses.loss)) throw TrainingError.diverged(epoch, b + 1, rate);
      means.add(losses, positions.length);
      progress({ ...measure(b + 1, means.images), loss: means.of("loss") });
    }
    steps.stop();

    const trained = trainee.state();
    onWeights(trained);
    // without a batch normalisation in training there is nothing to measure
    const normalises = [...start.parameters.keys()].some((name) => name.endsWith("/gamma"));
    const sample = stream("measured").shuffle(train.slice()).subarray(0, normalises ? MEASURED_IMAGES : 0);
    const measured = trainee.measure(function* () {
      // a last batch of a single image is left out, as in training
      for (let from = 0; from + 1 < sample.length; from += spec.batchSize) {
        stopIfCancelled();
        yield networkInput(data, sample.subarray(from, from + spec.batchSize), start);
      }
    }());
    const finite = [...measured.values()].every(({ values }) => values.every(Number.isFinite));
    if (!finite) throw TrainingError.diverged(epoch, batches.length, spec.learningRate);

    return {
      state: { ...trained, statistics: measured },
      training: {
        loss: means.of("loss"),
        crossEntropy: means.of("crossEntropy"),
        ...(triplets
          ? {
            triplet: means.of("triplet"),
            activeTriplets: means.of("activeTriplets"),
            positiveDistance: means.of("positiveDistance"),
            negativeDistance: means.of("negativeDistance"),
          }
          : {}),
        images: means.images,
        seconds: (performance.now() - started) / 1000,
        subclasses: assignment.subclasses,
      },
      seconds: { steps: steps.seconds, waiting: waiting.seconds },
    };
  } finally {
    trainee.dispose();
  }
};

/** The triplet loss of the run's method, if it has one. */
const tripletLossOf = (spec: RunSpec): TripletLoss | undefined => {
  if (!usesTriplets(spec.method)) return undefined;
  return spec.method === "gs-trs"
    ? (embeddings, { rows, subclasses }) => groupSensitiveTriplets(embeddings, rows, subclasses, spec)
    : (embeddings, { subclasses }) => tripletLoss(embeddings, subclasses, spec);
};

const batchesOf = (
  { sampling, batchSize, imagesPerClass }: RunSpec,
  { row, subclass }: Assignment,
  random: Random,
): Uint32Array[] =>
  sampling === "grouped"
    ? groupedBatches(subclass, batchSize, imagesPerClass, random)
    : shuffledBatches(row.length, batchSize, random);

/** The learning rate after so many epochs, a fraction in the middle of one. */
export const learningRateAt = (
  { learningRate, schedule, epochs }: Pick<RunSpec, "learningRate" | "schedule" | "epochs">,
  done: number,
): number =>
  schedule === "cosine" ? learningRate * (1 + Math.cos(Math.PI * done / epochs)) / 2 : learningRate;

interface Batch {
  readonly input: NetworkInput;
  readonly labels: BatchLabels;
}

/** The labels of the training images at `positions`, in TensorFlow's memory. */
const labelsOf = (positions: Uint32Array, { row, subclass }: Assignment): BatchLabels => {
  const of = (labels: Int32Array) =>
    tf.tensor1d(Int32Array.from(positions, (position) => labels[position]!), "int32");
  return { rows: of(row), subclasses: of(subclass) };
};

/** One step on a batch, which it disposes. */
const trainBatch = (trainee: Trainee, { input, labels }: Batch, learningRate: number): BatchLosses => {
  try {
    return trainee.step(input, labels, learningRate);
  } finally {
    tf.dispose([...inputTensors(input), labels.rows, labels.subclasses]);
  }
};

/** Adds up the time between starts and stops. */
class Watch {
  seconds = 0;
  #began = 0;

  start(): void {
    this.#began = performance.now();
  }

  stop(): void {
    this.seconds += (performance.now() - this.#began) / 1000;
  }
}

type Figure = Exclude<keyof BatchLosses, "terms">;
const perImage: readonly Figure[] = ["loss", "crossEntropy", "triplet"];
const perTerm: readonly Figure[] = ["activeTriplets", "positiveDistance", "negativeDistance"];

/** Means over the epoch's images, or what the triplet loss averages. */
class RunningMeans {
  images = 0;
  readonly #sums = new Map<Figure, { sum: number; count: number }>();

  add(losses: BatchLosses, images: number): void {
    this.images += images;
    for (const name of perImage) this.#add(name, losses[name], images);
    for (const name of perTerm) this.#add(name, losses[name], losses.terms);
  }

  of(name: Figure): number {
    const { sum, count } = this.#sums.get(name) ?? { sum: 0, count: 0 };
    return count === 0 ? 0 : sum / count;
  }

  #add(name: Figure, value: number, count: number): void {
    const before = this.#sums.get(name) ?? { sum: 0, count: 0 };
    this.#sums.set(name, { sum: before.sum + value * count, count: before.count + count });
  }
}
