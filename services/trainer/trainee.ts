import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D, Variable } from "@tensorflow/tfjs";
import {
  type Checkpoint,
  type Head,
  InferenceScope,
  Layers,
  measuring,
  networks,
  type Parameter,
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

const frozenStatistics = ({ frozen, statistics }: Checkpoint): Checkpoint["statistics"] =>
  new Map([...statistics].filter(([name]) => frozen.has(name.replace(/moving_\w+$/, "gamma"))));

/** A model in training: network, head and optimizer in TensorFlow's memory, from one checkpoint to the next. */
export class Trainee {
  readonly #start: Checkpoint;
  readonly #triplets: TripletLoss | undefined;
  readonly #variables: ReadonlyMap<string, Variable>;
  readonly #frozen: InferenceScope;
  readonly #layers: Layers;
  readonly #adam: FusedAdam;
  readonly #kernel: RowVariable;
  readonly #bias: RowVariable;
  readonly #headSteps: Int32Array;

  /** `triplets` absent: cross-entropy alone. */
  constructor(start: Checkpoint, triplets?: TripletLoss) {
    const { parameters, head, steps } = start;
    this.#start = start;
    this.#triplets = triplets;
    this.#variables = new Map(
      [...parameters].map(([name, { shape, value }]) =>
        [name, tf.tidy(() => tf.variable(tf.tensor(value, [...shape]), true, name))] as const
      ),
    );
    this.#frozen = new InferenceScope(upload(start.frozen), upload(frozenStatistics(start)));
    this.#layers = new Layers(training(this.#variables, this.#frozen), start.convention);
    this.#adam = new FusedAdam(ADAM);
    tf.tidy(() => {
      const moments = [...parameters].map(([name, { shape, first, second }]) =>
        [name, { first: tf.tensor(first, [...shape]), second: tf.tensor(second, [...shape]) }] as const
      );
      this.#adam.restore({ step: steps, moments: new Map(moments) });
    });
    this.#kernel = rowVariable("head/kernel", [head.rows.length, head.width], head.kernel);
    this.#bias = rowVariable("head/bias", [head.rows.length], head.bias);
    this.#headSteps = head.steps.slice();
  }

  /** One step on a batch: what the network takes of N images, and their labels. Takes neither over. */
  step(input: Tensor4D | Tensor2D, labels: BatchLabels, learningRate: number): BatchLosses {
    const network = networks[this.#start.backbone];
    const variables = [...this.#variables.values()];
    const [kernel, bias] = [this.#kernel.variable, this.#bias.variable];
    const values = tf.tidy(() => {
      let parts: Tensor1D | undefined;
      const { grads } = tf.variableGrads(() => {
        const embeddings = network.forward(this.#layers, input);
        const logits = tf.add<Tensor2D>(tf.matMul(embeddings, kernel as Tensor2D, false, true), bias);
        const entropy = crossEntropy(logits, labels.rows);
        if (this.#triplets === undefined) {
          parts = tf.keep(entropy.as1D());
          return entropy;
        }
        const triplets = this.#triplets(embeddings, labels);
        parts = tf.keep(tf.concat([entropy.as1D(), triplets]));
        return tf.add<Scalar>(entropy, tf.slice1d(triplets, 0, 1).asScalar());
      }, [...variables, kernel, bias]);
      this.#adam.apply(variables, grads, learningRate);
      this.#headSteps.forEach((_, row) => this.#headSteps[row]! += 1);
      stepRows(this.#kernel, grads[kernel.name]!, learningRate, this.#headSteps);
      stepRows(this.#bias, grads[bias.name]!, learningRate, this.#headSteps);
      const read = parts!.dataSync();
      parts!.dispose();
      return read;
    });
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
    const { scope, statistics } = measuring(this.#variables, this.#frozen);
    const layers = new Layers(scope, this.#start.convention);
    for (const input of batches) {
      tf.tidy(() => void networks[this.#start.backbone].forward(layers, input));
      input.dispose();
    }
    return new Map([...frozenStatistics(this.#start), ...statistics()]);
  }

  /** Everything as plain arrays. */
  checkpoint(statistics: Checkpoint["statistics"]): Checkpoint {
    const { parameters, head } = this.#start;
    const { step, moments } = this.#adam.state();
    const trained = new Map([...parameters].map(([name, { shape }]): [string, Parameter] => {
      const { first, second } = moments.get(name)!;
      const value = this.#variables.get(name)!;
      return [name, {
        shape,
        value: value.dataSync<"float32">(),
        first: first.dataSync<"float32">(),
        second: second.dataSync<"float32">(),
      }];
    }));
    for (const { first, second } of moments.values()) tf.dispose([first, second]);
    const read = ({ variable, first, second }: RowVariable): Head["kernel"] => ({
      value: variable.dataSync<"float32">(),
      first: first.dataSync<"float32">(),
      second: second.dataSync<"float32">(),
    });
    return {
      ...this.#start,
      parameters: trained,
      steps: step,
      statistics,
      head: { ...head, kernel: read(this.#kernel), bias: read(this.#bias), steps: this.#headSteps.slice() },
    };
  }

  dispose(): void {
    this.#adam.dispose();
    for (const variable of this.#variables.values()) variable.dispose();
    this.#frozen.dispose();
    tf.dispose([...this.#frozen.parameters.values(), ...this.#frozen.statistics.values()]);
    for (const { variable, first, second } of [this.#kernel, this.#bias]) {
      tf.dispose([variable, first, second]);
    }
  }
}
