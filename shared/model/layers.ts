import type { Tensor, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { relu, tf } from "@subtaxa/tensorflow";
import { constant, glorotUniform, heNormal, type Initial } from "./initial.ts";

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

export interface ConvOptions {
  readonly filters: number;
  /** Side of the kernel in pixels. */
  readonly size?: number;
  readonly stride?: number;
  readonly bias?: boolean;
}

/** The words a network is written in. Images are N × height × width × channels; convolutions pad as TensorFlow's SAME. */
export class Layers {
  constructor(private readonly scope: Scope) {}

  conv(name: string, x: Tensor4D, { filters, size = 3, stride = 1, bias = false }: ConvOptions): Tensor4D {
    const channels = x.shape[3];
    const shape = [size, size, channels, filters];
    const kernel = this.scope.parameter(`${name}/kernel`, shape, heNormal(size * size * channels));
    const y = tf.conv2d(x, kernel as Tensor4D, stride, "same");
    return bias ? tf.add(y, this.scope.parameter(`${name}/bias`, [filters], constant(0))) : y;
  }

  batchNorm(name: string, x: Tensor4D, epsilon = 1e-3): Tensor4D {
    const channels = [x.shape[3]];
    const gamma = this.scope.parameter(`${name}/gamma`, channels, constant(1));
    const beta = this.scope.parameter(`${name}/beta`, channels, constant(0));
    return this.scope.normalise(name, x, gamma, beta, epsilon);
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

  add(x: Tensor4D, y: Tensor4D): Tensor4D {
    return tf.add(x, y);
  }

  globalAveragePool(x: Tensor4D): Tensor2D {
    return tf.mean(x, [1, 2]);
  }
}
