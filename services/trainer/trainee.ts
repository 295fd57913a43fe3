import type { Scalar, Tensor1D, Tensor2D, Tensor4D, Variable } from "@tensorflow/tfjs";
import {
  type Checkpoint,
  type Head,
  Layers,
  measuring,
  networks,
  type Parameter,
  training,
} from "@subtaxa/model";
import { FusedAdam, tf } from "@subtaxa/tensorflow";
import { batchHardTriplets, crossEntropy } from "./losses.ts";
import { ADAM, type RowVariable, rowVariable, stepRows } from "./optimizer.ts";

export interface TraineeOptions {
  readonly learningRate: number;
  /** α of the triplet loss; absent: cross-entropy alone. */
  readonly margin?: number;
}

/** What one batch gave. */
export interface BatchLosses {
  /** The sum of the two that follow. */
  readonly loss: number;
  readonly crossEntropy: number;
  readonly triplet: number;
  /** Images with a positive and a negative in the batch; the three figures that follow are means over them. */
  readonly anchors: number;
  readonly activeTriplets: number;
  readonly positiveDistance: number;
  readonly negativeDistance: number;
}

/** A model in training: network, head and optimizer in TensorFlow's memory, from one checkpoint to the next. */
export class Trainee {
  readonly #start: Checkpoint;
  readonly #options: TraineeOptions;
  readonly #variables: ReadonlyMap<string, Variable>;
  readonly #layers: Layers;
  readonly #adam: FusedAdam;
  readonly #kernel: RowVariable;
  readonly #bias: RowVariable;
  readonly #headSteps: Int32Array;

  constructor(start: Checkpoint, options: TraineeOptions) {
    const { parameters, head, steps } = start;
    this.#start = start;
    this.#options = options;
    this.#variables = new Map(
      [...parameters].map(([name, { shape, value }]) =>
        [name, tf.tidy(() => tf.variable(tf.tensor(value, [...shape]), true, name))] as const
      ),
    );
    this.#layers = new Layers(training(this.#variables));
    this.#adam = new FusedAdam({ learningRate: options.learningRate, ...ADAM });
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

  /** One step on a batch: preprocessed images N × side × side × 3, head row of each image. Takes neither over. */
  step(images: Tensor4D, rows: Tensor1D): BatchLosses {
    const { learningRate, margin } = this.#options;
    const network = networks[this.#start.backbone];
    const variables = [...this.#variables.values()];
    const [kernel, bias] = [this.#kernel.variable, this.#bias.variable];
    const values = tf.tidy(() => {
      let parts: Tensor1D | undefined;
      const { grads } = tf.variableGrads(() => {
        const embeddings = network.forward(this.#layers, images);
        const logits = tf.add<Tensor2D>(tf.matMul(embeddings, kernel as Tensor2D, false, true), bias);
        const entropy = crossEntropy(logits, rows);
        if (margin === undefined) {
          parts = tf.keep(entropy.as1D());
          return entropy;
        }
        const triplets = batchHardTriplets(embeddings, rows, margin);
        parts = tf.keep(tf.concat([entropy.as1D(), triplets]));
        return tf.add<Scalar>(entropy, tf.slice1d(triplets, 0, 1).asScalar());
      }, [...variables, kernel, bias]);
      this.#adam.apply(variables, grads);
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
      anchors = 0,
    ] = values;
    return {
      loss: entropy + triplet,
      crossEntropy: entropy,
      triplet,
      anchors,
      activeTriplets,
      positiveDistance,
      negativeDistance,
    };
  }

  /**
   * The statistics of every batch normalisation with the present weights, over batches of preprocessed images, which it
   * disposes.
   */
  measure(batches: Iterable<Tensor4D>): Checkpoint["statistics"] {
    const { scope, statistics } = measuring(this.#variables);
    const layers = new Layers(scope);
    for (const images of batches) {
      tf.tidy(() => void networks[this.#start.backbone].forward(layers, images));
      images.dispose();
    }
    return statistics();
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
    for (const { variable, first, second } of [this.#kernel, this.#bias]) {
      tf.dispose([variable, first, second]);
    }
  }
}
