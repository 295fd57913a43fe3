import type { Tensor, Tensor2D } from "@tensorflow/tfjs";
import { GraphFunction, type Handle, type Recording, resumed, tf } from "@subtaxa/tensorflow";

/** A step of the network, as it was recorded: from what enters to the embeddings, and from their gradient to new weights. */
export interface RecordedStep {
  readonly forward: Recording;
  readonly backward: Recording;
  /** The batch and everything else that the step takes from outside, variables included. */
  readonly inputs: readonly Handle[];
  readonly embeddings: Handle;
  readonly gradient: Handle;
  /** What differs from step to step: Adam's scalars. */
  readonly scalars: readonly Handle[];
}

/** A recorded step as two TensorFlow functions, defined when first needed; between them the losses have their say. */
export class CompiledStep {
  readonly #recorded: RecordedStep;
  #functions: { readonly forward: GraphFunction; readonly backward: GraphFunction } | undefined;

  constructor(recorded: RecordedStep) {
    this.#recorded = recorded;
  }

  /** `gradientOf` gets the embeddings and gives the loss's gradient in them. */
  run(
    inputs: readonly Tensor[],
    scalars: readonly Tensor[],
    gradientOf: (embeddings: Tensor2D) => Tensor,
  ): void {
    const { forward, backward } = this.#functions ??= this.#define();
    tf.tidy(() => {
      const [embeddings, ...kept] = forward.call(inputs) as [Tensor2D, ...Tensor[]];
      backward.call([gradientOf(embeddings), ...scalars, ...inputs, ...kept]);
    });
  }

  dispose(): void {
    this.#functions?.forward.dispose();
    this.#functions?.backward.dispose();
  }

  #define() {
    const { forward, backward, inputs, embeddings, gradient, scalars } = this.#recorded;
    const { kept, recording } = resumed(forward, backward);
    return {
      forward: new GraphFunction(forward, inputs, [embeddings, ...kept]),
      backward: new GraphFunction(recording, [gradient, ...scalars, ...inputs, ...kept], []),
    };
  }
}

/** At most this many are remembered: of one run there are two, as the last batch of an epoch has a size of its own. */
const LIMIT = 8;
const known = new Map<string, CompiledStep>();

/** Steps that were recorded in this process, by everything that they depend on. */
export const compiledSteps = {
  get: (key: string): CompiledStep | undefined => {
    const step = known.get(key);
    if (step !== undefined && known.delete(key)) known.set(key, step); // the one used last goes last
    return step;
  },
  add: (key: string, recorded: RecordedStep): void => {
    if (known.has(key)) return;
    known.set(key, new CompiledStep(recorded));
    if (known.size <= LIMIT) return;
    const [oldest, step] = known.entries().next().value!;
    known.delete(oldest);
    step.dispose();
  },
};
