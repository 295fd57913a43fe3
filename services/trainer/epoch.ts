import type { EventOf, Labels, RunSpec } from "@subtaxa/contracts";
import { usesTriplets } from "@subtaxa/contracts";
import type { Augmentation } from "@subtaxa/dataset";
import {
  type BatchProgress,
  type Checkpoint,
  followLabels,
  imageTensor,
  newCheckpoint,
  type RunData,
  stopwatch,
} from "@subtaxa/model";
import { random } from "@subtaxa/random";
import { tf, type WorkContext } from "@subtaxa/tensorflow";
import { assignmentOf } from "./assignment.ts";
import { TrainingError } from "./error.ts";
import { shuffledBatches } from "./sampler.ts";
import { type BatchLosses, Trainee } from "./trainee.ts";

export interface EpochInput {
  readonly spec: RunSpec;
  readonly fold: number;
  /** From 1. */
  readonly epoch: number;
  readonly data: RunData;
  /** As the previous epoch left it; null before the first. */
  readonly checkpoint: Checkpoint | null;
  /** The pseudo-labels in force; null while every class is whole. */
  readonly labels: Labels | null;
}

export type TrainingSummary = EventOf<"epoch.trained">["training"];

/** Batch statistics come from at most this many of the training images. */
const MEASURED_IMAGES = 2000;

/** Random streams of an epoch: what one draws does not move another. */
const streams = { headNoise: 0x7101, order: 0x7102, augmentation: 0x7103, measured: 0x7104 };

/**
 * One epoch of the paper's Algorithm 1, "Train the encoder network", in its order: the head takes the shape of the
 * pseudo-labels; Adam steps over shuffled batches with cross-entropy over the sub-classes, plus the triplet loss where the
 * method has it; then the batch statistics of the final weights are measured. What it does depends on its input alone.
 *
 * Throws `TrainingError`: `Diverged` on a loss that is not finite, `Cancelled` within one batch of being cancelled.
 */
export const trainEpoch = (
  { spec, fold, epoch, data, checkpoint, labels }: EpochInput,
  { cancelled, progress }: WorkContext<BatchProgress>,
): { readonly checkpoint: Checkpoint; readonly training: TrainingSummary } => {
  const started = performance.now();
  const stream = (use: keyof typeof streams) => random(spec.seed, fold, epoch, streams[use]);
  const stopIfCancelled = () => {
    if (cancelled()) throw TrainingError.cancelled();
  };
  const { images, classOf, split: { train } } = data;
  const { subclasses, rows } = assignmentOf(labels, train, classOf, spec.classes.length);

  const before = checkpoint ?? newCheckpoint({ ...spec, fold });
  const head = followLabels(before.head, subclasses, { random: stream("headNoise") });
  const triplets = usesTriplets(spec.method);
  const trainee = new Trainee({ ...before, head, epoch }, {
    learningRate: spec.learningRate,
    ...(triplets ? { margin: spec.margin } : {}),
  });
  try {
    const augmentation: Augmentation = { augment: spec.augmentation, random: stream("augmentation") };
    const batches = shuffledBatches(train.length, spec.batchSize, stream("order"));
    const measure = stopwatch(train.length, batches.length);
    const means = new RunningMeans();
    for (const [b, positions] of batches.entries()) {
      stopIfCancelled();
      const losses = trainBatch(trainee, data, before, positions, rows, augmentation);
      if (!Number.isFinite(losses.loss)) throw TrainingError.diverged(epoch, b + 1, spec.learningRate);
      means.add(losses, positions.length);
      progress({ ...measure(b + 1, means.images), loss: means.of("loss") });
    }

    const sample = stream("measured").shuffle(train.slice()).subarray(0, MEASURED_IMAGES);
    const measured = trainee.measure(function* () {
      for (let from = 0; from < sample.length; from += spec.batchSize) {
        stopIfCancelled();
        yield imageTensor(images, sample.subarray(from, from + spec.batchSize), before.preprocessing);
      }
    }());
    const finite = [...measured.values()].every(({ values }) => values.every(Number.isFinite));
    if (!finite) throw TrainingError.diverged(epoch, batches.length, spec.learningRate);

    return {
      checkpoint: trainee.checkpoint(measured),
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
        subclasses: subclasses.length,
      },
    };
  } finally {
    trainee.dispose();
  }
};

/** One step on the training images at `positions`. */
const trainBatch = (
  trainee: Trainee,
  { images, split: { train } }: RunData,
  { preprocessing }: Checkpoint,
  positions: Uint32Array,
  rows: Int32Array,
  augmentation: Augmentation,
): BatchLosses => {
  const x = imageTensor(images, positions.map((position) => train[position]!), preprocessing, augmentation);
  const y = tf.tensor1d(Int32Array.from(positions, (position) => rows[position]!), "int32");
  try {
    return trainee.step(x, y);
  } finally {
    tf.dispose([x, y]);
  }
};

type Figure = Exclude<keyof BatchLosses, "anchors">;
const perImage: readonly Figure[] = ["loss", "crossEntropy", "triplet"];
const perAnchor: readonly Figure[] = ["activeTriplets", "positiveDistance", "negativeDistance"];

/** Means over the epoch's images, or anchors. */
class RunningMeans {
  images = 0;
  readonly #sums = new Map<Figure, { sum: number; count: number }>();

  add(losses: BatchLosses, images: number): void {
    this.images += images;
    for (const name of perImage) this.#add(name, losses[name], images);
    for (const name of perAnchor) this.#add(name, losses[name], losses.anchors);
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
