import type { Scalar, Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import type { Checkpoint, Head, NetworkInput, TrainingState } from "@subtaxa/model";
import { tf } from "@subtaxa/tensorflow";
import { crossEntropy } from "./losses.ts";
import { TrainedNetwork } from "./network.ts";
import { type RowVariable, rowVariable, stepRows } from "./optimizer.ts";

/** Triplet loss of a batch, as the losses give it: five numbers, of which the first has a gradient. */
export type TripletLoss = (embeddings: Tensor2D, labels: BatchLabels) => Tensor1D;

export interface BatchLabels {
  /** Row of the head for each image, int32. */
  readonly rows: Tensor1D;
  /** Sub-class of each image, int32; the same as `rows` unless the head tells only whole classes apart. */
  readonly subclasses: Tensor1D;
}

/** What one batch gave. */
export interface BatchLosses {
  /** The sum of the two that follow. */
  readonly loss: number;
  readonly crossEntropy: number;
  readonly triplet: number;
  /** How many anchors, pairs or triplets the three figures that follow are means over. */
  readonly terms: number;
  readonly activeTriplets: number;
  readonly positiveDistance: number;
  readonly negativeDistance: number;
}

/** A model in training: network, head and optimizer in TensorFlow's memory, from one epoch to the next. */
export class Trainee {
  /** What training does not change. */
  readonly #start: Omit<TrainingState, "parameters">;
  readonly #triplets: TripletLoss | undefined;
  readonly #network: TrainedNetwork;
  readonly #kernel: RowVariable;
  readonly #bias: RowVariable;
  readonly #headSteps: Int32Array;

  /** `triplets` absent: cross-entropy alone. */
  constructor(start: TrainingState, triplets?: TripletLoss) {
    const { parameters: _, ...others } = start;
    const { head } = others;
    this.#start = others;
    this.#triplets = triplets;
    this.#network = new TrainedNetwork(start);
    this.#kernel = rowVariable("head/kernel", [head.rows.length, head.width], head.kernel);
    this.#bias = rowVariable("head/bias", [head.rows.length], head.bias);
    this.#headSteps = head.steps.slice();
  }

  /** One step on a batch: what the network takes of N images, and their labels. Takes neither over. */
  step(input: NetworkInput, labels: BatchLabels, learningRate: number): BatchLosses {
    const [kernel, bias] = [this.#kernel.variable, this.#bias.variable];
    let parts!: Tensor1D;
    const loss = (embeddings: Tensor2D): Scalar => {
      const logits = tf.add<Tensor2D>(tf.matMul(embeddings, kernel as Tensor2D, false, true), bias);
      const entropy = crossEntropy(logits, labels.rows);
      if (this.#triplets === undefined) {
        parts = tf.keep(entropy.as1D());
        return entropy;
      }
      const triplets = this.#triplets(embeddings, labels);
      parts = tf.keep(tf.concat([entropy.as1D(), triplets]));
      return tf.add<Scalar>(entropy, tf.slice1d(triplets, 0, 1).asScalar());
    };
    const [ofKernel, ofBias] = this.#network.step(input, learningRate, loss, [kernel, bias]);
    this.#headSteps.forEach((_, row) => this.#headSteps[row]! += 1);
    stepRows(this.#kernel, ofKernel!, learningRate, this.#headSteps);
    stepRows(this.#bias, ofBias!, learningRate, this.#headSteps);
    const values = parts.dataSync();
    tf.dispose([parts, ofKernel!, ofBias!]);
    const [
      entropy = 0,
      triplet = 0,
      activeTriplets = 0,
      positiveDistance = 0,
      negativeDistance = 0,
      terms = 0,
    ] = values;
    return {
      loss: entropy + triplet,
      crossEntropy: entropy,
      triplet,
      terms,
      activeTriplets,
      positiveDistance,
      negativeDistance,
    };
  }

  /** The statistics of every batch normalisation, as `TrainedNetwork.measure` has them. */
  measure(batches: Iterable<NetworkInput>): Checkpoint["statistics"] {
    return this.#network.measure(batches);
  }

  /** Everything as plain arrays; the statistics are those of before the training. */
  state(): TrainingState {
    const { head } = this.#start;
    const { step, weights } = this.#network.state();
    const read = ({ variable, first, second }: RowVariable): Head["kernel"] => ({
      value: variable.dataSync<"float32">(),
      first: first.dataSync<"float32">(),
      second: second.dataSync<"float32">(),
    });
    return {
      ...this.#start,
      parameters: weights,
      steps: step,
      head: { ...head, kernel: read(this.#kernel), bias: read(this.#bias), steps: this.#headSteps.slice() },
    };
  }

  dispose(): void {
    this.#network.dispose();
    for (const { variable, first, second } of [this.#kernel, this.#bias]) {
      tf.dispose([variable, first, second]);
    }
  }
}
