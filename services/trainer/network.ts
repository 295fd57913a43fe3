import type { Scalar, Tensor, Tensor2D, Variable } from "@tensorflow/tfjs";
import {
  type Checkpoint,
  InferenceScope,
  inputTensors,
  Layers,
  measuring,
  type NetworkInput,
  networks,
  type Scope,
  training,
  type TrainingState,
} from "@subtaxa/model";
import {
  type AdamState,
  FusedAdam,
  type Handle,
  handleOf,
  Recording,
  tf,
  withGradient,
} from "@subtaxa/tensorflow";
import { compiledSteps } from "./compiled_step.ts";
import { ADAM } from "./optimizer.ts";

const upload = (weights: Checkpoint["frozen"]): ReadonlyMap<string, Tensor> =>
  new Map([...weights].map(([name, { shape, values }]) => [name, tf.tensor(values, [...shape])]));

const frozenStatistics = (
  { frozen, statistics }: Pick<Checkpoint, "frozen" | "statistics">,
): Checkpoint["statistics"] =>
  new Map([...statistics].filter(([name]) => frozen.has(name.replace(/moving_\w+$/, "gamma"))));

/** The network in training, without the head: its weights, Adam, and what is frozen, in TensorFlow's memory. */
export class TrainedNetwork {
  /** What training does not change. */
  readonly #start: Pick<Checkpoint, "backbone" | "convention" | "frozen" | "statistics">;
  readonly #frozen: InferenceScope;
  readonly #adam: FusedAdam;
  /** Shapes of batches that a step was taken with. */
  readonly #met = new Set<string>();

  constructor(start: TrainingState) {
    const { backbone, convention, frozen, statistics, parameters, steps } = start;
    this.#start = { backbone, convention, frozen, statistics };
    this.#frozen = new InferenceScope(upload(frozen), upload(frozenStatistics(start)));
    this.#adam = new FusedAdam({ step: steps, weights: parameters }, ADAM);
  }

  /**
   * Forward, backward and Adam on a batch, which stays the caller's: `loss` of the embeddings, N × width, is lowered. Returns
   * its gradient in the variables of the head, which the caller disposes.
   *
   * The first step with batches of one shape is taken operation by operation and recorded; from the second on it is two
   * TensorFlow functions, which take two thirds of the time or less. That goes by the steps of this object alone, so that the
   * same steps give the same weights whatever the process did before.
   */
  step(
    batch: NetworkInput,
    learningRate: number,
    loss: (embeddings: Tensor2D) => Scalar,
    head: readonly Variable[],
  ): Tensor[] {
    const { backbone, convention } = this.#start;
    const names = [this.#adam.names(), this.#frozen.parameters.keys()].map((some) => [...some].join());
    const shapes = inputTensors(batch).map(({ shape }) => shape.join());
    const key = [backbone, convention, shapes.join(" "), ...names].join("/");
    const compiled = this.#met.has(key) ? compiledSteps.get(key) : undefined;
    this.#met.add(key);
    const scalars = this.#adam.nextStep(learningRate);
    try {
      if (compiled === undefined) return this.#recordedStep(key, batch, scalars, loss, head);
      let ofHead: Tensor[] = [];
      compiled.run(this.#inputs(batch), scalars, (embeddings) => {
        const { grads: [gradient, ...others] } = gradients(() => loss(embeddings), [embeddings, ...head]);
        ofHead = others.map((one) => tf.keep(one!));
        return gradient!;
      });
      return ofHead;
    } finally {
      tf.dispose([...scalars]);
    }
  }

  /**
   * The statistics of every batch normalisation with the present weights, over batches of what the network takes, which it
   * disposes. Those of frozen layers stay.
   */
  measure(batches: Iterable<NetworkInput>): Checkpoint["statistics"] {
    const parameters = this.#adam.values();
    try {
      const { scope, statistics } = measuring(parameters, this.#frozen);
      for (const batch of batches) {
        try {
          tf.tidy(() => void this.#forward(scope, batch));
        } finally {
          tf.dispose([...inputTensors(batch)]);
        }
      }
      return new Map([...frozenStatistics(this.#start), ...statistics()]);
    } finally {
      tf.dispose([...parameters.values()]);
    }
  }

  /** Weights and Adam's moments as plain arrays. */
  state(): AdamState {
    return this.#adam.state();
  }

  dispose(): void {
    this.#adam.dispose();
    this.#frozen.dispose();
    tf.dispose(this.#frozenTensors());
  }

  #recordedStep(
    key: string,
    batch: NetworkInput,
    scalars: readonly Tensor[],
    loss: (embeddings: Tensor2D) => Scalar,
    head: readonly Variable[],
  ): Tensor[] {
    const [forward, backward] = [new Recording(), new Recording()];
    const outside = { inputs: this.#inputs(batch).map(handleOf), scalars: scalars.map(handleOf) };
    let [embeddings, gradient]: (Handle | undefined)[] = [];
    this.#frozen.dispose(); // what it folds is part of the step
    try {
      return tf.tidy(() => {
        forward.begin();
        const parameters = this.#adam.values();
        const lossOfBatch = () => {
          const output = this.#forward(training(parameters, this.#frozen), batch);
          forward.end();
          embeddings = handleOf(output);
          return loss(onTheWayBack(output, (dy) => {
            gradient = handleOf(dy);
            backward.begin();
          }));
        };
        // A parameter that has no effect has no gradient: a bias before a batch normalisation.
        const { grads } = gradients(lossOfBatch, [...head, ...parameters.values()]);
        const ofNetwork = grads.slice(head.length);
        this.#adam.apply(
          new Map([...parameters.keys()].flatMap((name, i) => ofNetwork[i] ? [[name, ofNetwork[i]]] : [])),
          scalars,
        );
        backward.end();
        compiledSteps.add(key, {
          forward,
          backward,
          ...outside,
          embeddings: embeddings!,
          gradient: gradient!,
        });
        return grads.slice(0, head.length) as Tensor[];
      });
    } finally {
      forward.end();
      backward.end();
    }
  }

  /** All that a step takes from outside. */
  #inputs(batch: NetworkInput): Tensor[] {
    return [...inputTensors(batch), ...this.#frozenTensors(), ...this.#adam.variables()];
  }

  #frozenTensors(): Tensor[] {
    return [...this.#frozen.parameters.values(), ...this.#frozen.statistics.values()];
  }

  #forward(scope: Scope, batch: NetworkInput): Tensor2D {
    const { backbone, convention } = this.#start;
    return networks[backbone].forward(new Layers(scope, convention), batch);
  }
}

/** Gradients in the variables, undefined where there is none. */
const gradients = (
  loss: () => Scalar,
  variables: Tensor[],
): { readonly grads: readonly (Tensor | undefined)[] } =>
  tf.engine().gradients(loss, variables, undefined, true);

/** The same tensor; `notice` hears of its gradient before anything that comes before it on the tape gets its turn. */
const onTheWayBack = (x: Tensor2D, notice: (dy: Tensor2D) => void): Tensor2D =>
  withGradient([x], () => ({
    value: tf.clone(x),
    gradient: (dy) => {
      notice(dy);
      return tf.clone(dy);
    },
  }));
