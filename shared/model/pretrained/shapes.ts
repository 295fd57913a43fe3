import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Backbone } from "@subtaxa/contracts";
import { type ConvOptions, Layers, type Window } from "../layers.ts";
import { networks } from "../networks.ts";

/** Names and shapes of a network's tensors up to the pooled features, in the order in which it asks for them. */
export interface Shapes {
  readonly parameters: ReadonlyMap<string, readonly number[]>;
  /** Of batch normalisation: `<layer>/moving_mean` and `<layer>/moving_variance`. */
  readonly statistics: ReadonlyMap<string, readonly number[]>;
}

/** An image of which only the number of channels is known: all that the shapes of weights depend on. */
const image = (channels: number) => ({ shape: [1, 1, 1, channels] }) as unknown as Tensor4D;

/** Goes through a network without computing anything, so that TensorFlow need not be there. */
class Survey extends Layers {
  readonly parameters = new Map<string, readonly number[]>();
  readonly statistics = new Map<string, readonly number[]>();

  override conv(name: string, x: Tensor4D, { filters, bias = false, size = 3 }: ConvOptions): Tensor4D {
    this.parameters.set(`${name}/kernel`, [size, size, x.shape[3], filters]);
    if (bias) this.parameters.set(`${name}/bias`, [filters]);
    return image(filters);
  }

  override convBatchNorm(name: string, x: Tensor4D, options: ConvOptions): Tensor4D {
    return this.#normalised(name, this.conv(`${name}_conv`, x, options));
  }

  override depthwiseConvBatchNorm(name: string, x: Tensor4D, { size = 3 }: Window): Tensor4D {
    this.parameters.set(`${name}_dwconv/kernel`, [size, size, x.shape[3], 1]);
    return this.#normalised(name, x);
  }

  override maxPool = (x: Tensor4D) => x;
  override swish = (x: Tensor4D) => x;
  override sigmoid = (x: Tensor4D) => x;
  override squeeze = (x: Tensor4D) => x;
  override multiply = (x: Tensor4D) => x;
  override globalAveragePool = (x: Tensor4D) => x as unknown as Tensor2D;

  #normalised(name: string, x: Tensor4D): Tensor4D {
    const shape = [x.shape[3]];
    for (const part of ["gamma", "beta"]) this.parameters.set(`${name}_bn/${part}`, shape);
    for (const part of ["moving_mean", "moving_variance"]) this.statistics.set(`${name}_bn/${part}`, shape);
    return x;
  }
}

/** What weights of this network must hold. */
export const shapesOf = (backbone: Backbone): Shapes => {
  const survey = new Survey({
    parameter: (name) => {
      throw new Error(`the survey of ${backbone} does not know the kind of layer that '${name}' belongs to`);
    },
    convBatchNorm: ({ x }) => x,
  });
  networks[backbone].pooled(survey, image(3));
  return survey;
};
