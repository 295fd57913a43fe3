import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { relu, swish, tf } from "@subtaxa/tensorflow";
import { z } from "zod";
import { constant, glorotUniform, heNormal, type Initial } from "./initial.ts";

/**
 * What two families of weights disagree on. `keras`: Keras Applications'. `torch`: torchvision's and timm's, which pad strided
 * convolutions symmetrically, add 1e-5 to every variance, and give ResNet50's stride to the 3 × 3 convolution (v1.5).
 */
export const Convention = z.enum(["keras", "torch"]);
export type Convention = z.infer<typeof Convention>;

const TORCH_EPSILON = 1e-5;

/** Width of the embedding, as in the paper (section 4). */
export const EMBEDDING = 256;

/**
 * What a layer needs from outside: its tensors by name, and batch normalisation, which differs between creating, training,
 * measuring statistics and inference (see `scopes.ts`). Tensors are named as Keras does: `<layer>/kernel`, `/bias`,
 * `/gamma`, `/beta`, `/moving_mean`, `/moving_variance`.
 */
export interface Scope {
  /** The trainable tensor of this name; `initial` fills it where it is new. */
  parameter(name: string, shape: readonly number[], initial: Initial): Tensor;
  /** Normalises each channel of `x`, N × height × width × channels. */
  normalise(layer: string, x: Tensor4D, gamma: Tensor, beta: Tensor, epsilon: number): Tensor4D;
}

export interface Window {
  /** Side of the window in pixels. Default 3. */
  readonly size?: number;
  /** Default 1. */
  readonly stride?: number;
  /**
   * `same`: as TensorFlow's SAME; with a stride, it may add one more row below than above. `symmetric`: (size − 1) / 2
   * zeros on every side. Without a stride they are equal. Default: `same`, under the convention `torch` `symmetric`.
   */
  readonly padding?: "same" | "symmetric";
}

export interface ConvOptions extends Window {
  readonly filters: number;
  /** Default false. */
  readonly bias?: boolean;
}

/** The words a network is written in. Images are N × height × width × channels. */
export class Layers {
  constructor(private readonly scope: Scope, readonly convention: Convention = "keras") {}

  conv(name: string, x: Tensor4D, { filters, bias = false, ...window }: ConvOptions): Tensor4D {
    const { size = 3, stride = 1 } = window;
    const channels = x.shape[3];
    const shape = [size, size, channels, filters];
    const kernel = this.scope.parameter(`${name}/kernel`, shape, heNormal(size * size * channels));
    const [input, padding] = this.#padded(x, window);
    const y = tf.conv2d(input, kernel as Tensor4D, stride, padding);
    return bias ? tf.add(y, this.scope.parameter(`${name}/bias`, [filters], constant(0))) : y;
  }

  /** One filter for each channel, kernel size × size × channels × 1. */
  depthwiseConv(name: string, x: Tensor4D, window: Window): Tensor4D {
    const { size = 3, stride = 1 } = window;
    const shape = [size, size, x.shape[3], 1];
    const kernel = this.scope.parameter(`${name}/kernel`, shape, heNormal(size * size));
    const [input, padding] = this.#padded(x, window);
    return tf.depthwiseConv2d(input, kernel as Tensor4D, stride, padding);
  }

  /** The largest value in each window. `symmetric` pads with zeros, which change nothing after a ReLU. */
  maxPool(x: Tensor4D, window: Window): Tensor4D {
    const { size = 3, stride = 1 } = window;
    const [input, padding] = this.#padded(x, window);
    return tf.maxPool(input, size, stride, padding);
  }

  /** `epsilon` under the convention `keras`. */
  batchNorm(name: string, x: Tensor4D, epsilon = 1e-3): Tensor4D {
    const channels = [x.shape[3]];
    const gamma = this.scope.parameter(`${name}/gamma`, channels, constant(1));
    const beta = this.scope.parameter(`${name}/beta`, channels, constant(0));
    const added = this.convention === "torch" ? TORCH_EPSILON : epsilon;
    return this.scope.normalise(name, x, gamma, beta, added);
  }

  dense(name: string, x: Tensor2D, units: number): Tensor2D {
    const inputs = x.shape[1];
    const kernel = this.scope.parameter(`${name}/kernel`, [inputs, units], glorotUniform(inputs, units));
    const bias = this.scope.parameter(`${name}/bias`, [units], constant(0));
    return tf.add(tf.matMul(x, kernel as Tensor2D), bias);
  }

  relu(x: Tensor4D): Tensor4D {
    return relu(x);
  }

  swish(x: Tensor4D): Tensor4D {
    return swish(x);
  }

  sigmoid(x: Tensor4D): Tensor4D {
    return tf.sigmoid(x);
  }

  add(x: Tensor4D, y: Tensor4D): Tensor4D {
    return tf.add(x, y);
  }

  /** Elementwise; N × 1 × 1 × channels scales whole channels. */
  multiply(x: Tensor4D, y: Tensor4D): Tensor4D {
    return tf.mul(x, y);
  }

  globalAveragePool(x: Tensor4D): Tensor2D {
    return tf.mean(x, [1, 2]);
  }

  /** Mean of each channel, N × 1 × 1 × channels. */
  squeeze(x: Tensor4D): Tensor4D {
    return tf.mean(x, [1, 2], true);
  }

  /** What has to be padded by hand is; the rest is left to the operation. */
  #padded(x: Tensor4D, { size = 3, stride = 1, padding }: Window): [Tensor4D, "same" | "valid"] {
    const chosen = padding ?? (this.convention === "torch" ? "symmetric" : "same");
    if (chosen === "same" || stride === 1) return [x, "same"];
    const side: [number, number] = [(size - 1) / 2, (size - 1) / 2];
    return [tf.pad(x, [[0, 0], side, side, [0, 0]]), "valid"];
  }
}
