import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import {
  type Checkpoint,
  type Head,
  InferenceScope,
  Layers,
  measuring,
  networks,
  type Scope,
  training,
} from "@subtaxa/model";
import { FusedAdam, tf } from "@subtaxa/tensorflow";
import { crossEntropy } from "./losses.ts";
import { ADAM, type RowVariable, rowVariable, stepRows } from "./optimizer.ts";

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

const upload = (weights: Checkpoint["frozen"]): ReadonlyMap<string, Tensor> =>
  new Map([...weights].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])]));

const frozenStatistics = (
  { frozen, statistics }: Pick<Checkpoint, "frozen" | "statistics">,
): Checkpoint["statistics"] =>
  new Map([...statistics].filter(([name]) => frozen.has(name.replace(/moving_\w+$/, "gamma"))));

/** A model in training: network, head and optimizer in TensorFlow's memory, from one checkpoint to the next. */
export class Trainee {
  /** What training does not change. */
  readonly #start: Omit<Checkpoint, "parameters">;
  readonly #triplets: TripletLoss | undefined;
  readonly #frozen: InferenceScope;
  readonly #adam: FusedAdam;
  readonly #kernel: RowVariable;
  readonly #bias: RowVariable;
  readonly #headSteps: Int32Array;

  /** `triplets` absent: cross-entropy alone. */
  constructor(start: Checkpoint, triplets?: TripletLoss) {
    const { parameters, ...others } = start;
    const { head, steps } = others;
    this.#start = others;
    this.#triplets = triplets;
    this.#frozen = new InferenceScope(upload(start.frozen), upload(frozenStatistics(start)));
    this.#adam = new FusedAdam({ step: steps, weights: parameters }, ADAM);
    this.#kernel = rowVariable("head/kernel", [head.rows.length, head.width], head.kernel);
    this.#bias = rowVariable("head/bias", [head.rows.length], head.bias);
    this.#headSteps = head.steps.slice();
  }

  /** One step on a batch: what the network takes of N images, and their labels. Takes neither over. */
  step(input: Tensor4D | Tensor2D, labels: BatchLabels, learningRate: number): BatchLosses {
    const [kernel, bias] = [this.#kernel.variable, this.#bias.variable];
    const { names, gradients: [ofKernel, ofBias, ...others], parts } = tf.tidy(() => {
      const parameters = this.#adam.values();
      let parts: Tensor1D | undefined;
      // A parameter that has no effect has no gradient: a bias before a batch normalisation.
      const { grads } = tf.engine().gradients(
        () => {
          const embeddings = this.#forward(training(parameters, this.#frozen), input);
          const logits = tf.add<Tensor2D>(tf.matMul(embeddings, kernel as Tensor2D, false, true), bias);
          const entropy = crossEntropy(logits, labels.rows);
          if (this.#triplets === undefined) {
            parts = tf.keep(entropy.as1D());
            return entropy;
          }
          const triplets = this.#triplets(embeddings, labels);
          parts = tf.keep(tf.concat([entropy.as1D(), triplets]));
          return tf.add<Scalar>(entropy, tf.slice1d(triplets, 0, 1).asScalar());
        },
        [kernel, bias, ...parameters.values()],
        undefined,
        true,
      );
      const gradients: (Tensor | undefined)[] = grads;
      return { names: [...parameters.keys()], gradients, parts: parts! };
    });
    const named = names.flatMap((name, i) => others[i] === undefined ? [] : [[name, others[i]] as const]);
    this.#adam.apply(new Map(named), learningRate);
    this.#headSteps.forEach((_, row) => this.#headSteps[row]! += 1);
    stepRows(this.#kernel, ofKernel!, learningRate, this.#headSteps);
    stepRows(this.#bias, ofBias!, learningRate, this.#headSteps);
    const values = parts.dataSync();
    tf.dispose([parts, ofKernel!, ofBias!, ...named.map(([, gradient]) => gradient)]);
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

  /**
   * The statistics of every batch normalisation with the present weights, over batches of what the network takes, which it
   * disposes. Those of frozen layers stay.
   */
  measure(batches: Iterable<Tensor4D | Tensor2D>): Checkpoint["statistics"] {
    const parameters = this.#adam.values();
    const { scope, statistics } = measuring(parameters, this.#frozen);
    for (const input of batches) {
      tf.tidy(() => void this.#forward(scope, input));
      input.dispose();
    }
    tf.dispose([...parameters.values()]);
    return new Map([...frozenStatistics(this.#start), ...statistics()]);
  }

  /** Everything as plain arrays. */
  checkpoint(statistics: Checkpoint["statistics"]): Checkpoint {
    const { head } = this.#start;
    const { step, weights } = this.#adam.state();
    const read = ({ variable, first, second }: RowVariable): Head["kernel"] => ({
      value: variable.dataSync<"float32">(),
      first: first.dataSync<"float32">(),
      second: second.dataSync<"float32">(),
    });
    return {
      ...this.#start,
      parameters: weights,
      steps: step,
      statistics,
      head: { ...head, kernel: read(this.#kernel), bias: read(this.#bias), steps: this.#headSteps.slice() },
    };
  }

  dispose(): void {
    this.#adam.dispose();
    this.#frozen.dispose();
    tf.dispose([...this.#frozen.parameters.values(), ...this.#frozen.statistics.values()]);
    for (const { variable, first, second } of [this.#kernel, this.#bias]) {
      tf.dispose([variable, first, second]);
    }
  }

  #forward(scope: Scope, input: Tensor4D | Tensor2D): Tensor2D {
    const { backbone, convention } = this.#start;
    return networks[backbone].forward(new Layers(scope, convention), input);
  }
}
