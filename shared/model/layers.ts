import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { convolution, maxPool, spatialMean, swish, tf } from "@subtaxa/tensorflow";
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

/** A convolution, its batch normalisation and what follows. */
export interface ConvBatchNorm {
  /** Its tensors are `<norm>/gamma` and so on. */
  readonly norm: string;
  readonly x: Tensor4D;
  /** Size × size × channels × filters, or with `depthwise` size × size × channels × 1. */
  readonly kernel: Tensor4D;
  readonly depthwise: boolean;
  readonly bias?: Tensor1D | undefined;
  readonly gamma: Tensor1D;
  readonly beta: Tensor1D;
  /** Added to the variance. */
  readonly epsilon: number;
  readonly stride: number;
  /** TensorFlow's SAME, or as many zeros on every side. */
  readonly padding: "same" | number;
  /** Added to what is normalised. */
  readonly shortcut?: Tensor4D | undefined;
  /** max(·, 0) at the end. */
  readonly relu: boolean;
}

/**
 * What a layer needs from outside: its tensors by name, and convolutions with batch normalisation, which differ between
 * creating, training, measuring statistics and inference (see `scopes.ts`). Tensors are named as Keras does:
 * `<layer>/kernel`, `/bias`, `/gamma`, `/beta`, `/moving_mean`, `/moving_variance`.
 */
export interface Scope {
  /** The trainable tensor of this name; `initial` fills it where it is new. */
  parameter(name: string, shape: readonly number[], initial: Initial): Tensor;
  convBatchNorm(unit: ConvBatchNorm): Tensor4D;
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

export interface NormOptions {
  /** Added to the variance under the convention `keras`. Default 1e-3. */
  readonly epsilon?: number;
  /** Added to what is normalised. */
  readonly shortcut?: Tensor4D;
  /** max(·, 0) at the end. Default false. */
  readonly relu?: boolean;
}

/** The words a network is written in. Images are N × height × width × channels. */
export class Layers {
  constructor(private readonly scope: Scope, readonly convention: Convention = "keras") {}

  conv(name: string, x: Tensor4D, options: ConvOptions): Tensor4D {
    const [kernel, bias] = this.#filters(name, x, options);
    const y = convolution(x, kernel, this.#placed(options));
    return bias ? tf.add(y, bias) : y;
  }

  /** The convolution `<name>_conv` and its batch normalisation `<name>_bn`. */
  convBatchNorm(name: string, x: Tensor4D, options: ConvOptions & NormOptions): Tensor4D {
    const [kernel, bias] = this.#filters(`${name}_conv`, x, options);
    return this.#normalised(name, x, { kernel, bias, depthwise: false }, options);
  }

  /** `<name>_dwconv`, one filter for each channel, and its batch normalisation `<name>_bn`. */
  depthwiseConvBatchNorm(name: string, x: Tensor4D, options: Window & NormOptions): Tensor4D {
    const { size = 3 } = options;
    const shape = [size, size, x.shape[3], 1];
    const kernel = this.scope.parameter(`${name}_dwconv/kernel`, shape, heNormal(size * size)) as Tensor4D;
    return this.#normalised(name, x, { kernel, depthwise: true }, options);
  }

  /** The largest value in each window. `symmetric` pads with zeros, which change nothing after a ReLU. */
  maxPool(x: Tensor4D, window: Window): Tensor4D {
    const { size = 3, stride = 1 } = window;
    const { padding } = this.#placed(window);
    return padding === "same"
      ? maxPool(x, size, stride, "same")
      : maxPool(zeroPadded(x, padding), size, stride, "valid");
  }

  dense(name: string, x: Tensor2D, units: number): Tensor2D {
    const inputs = x.shape[1];
    const kernel = this.scope.parameter(`${name}/kernel`, [inputs, units], glorotUniform(inputs, units));
    const bias = this.scope.parameter(`${name}/bias`, [units], constant(0));
    return tf.add(tf.matMul(x, kernel as Tensor2D), bias);
  }

  swish(x: Tensor4D): Tensor4D {
    return swish(x);
  }

  sigmoid(x: Tensor4D): Tensor4D {
    return tf.sigmoid(x);
  }

  /** Elementwise; N × 1 × 1 × channels scales whole channels. */
  multiply(x: Tensor4D, y: Tensor4D): Tensor4D {
    return tf.mul(x, y);
  }

  globalAveragePool(x: Tensor4D): Tensor2D {
    return spatialMean(x);
  }

  /** Mean of each channel, N × 1 × 1 × channels. */
  squeeze(x: Tensor4D): Tensor4D {
    return spatialMean(x, true);
  }

  #filters(name: string, x: Tensor4D, { size = 3, filters, bias = false }: ConvOptions) {
    const channels = x.shape[3];
    const shape = [size, size, channels, filters];
    const kernel = this.scope.parameter(`${name}/kernel`, shape, heNormal(size * size * channels));
    const added = bias ? this.scope.parameter(`${name}/bias`, [filters], constant(0)) : undefined;
    return [kernel as Tensor4D, added as Tensor1D | undefined] as const;
  }

  #normalised(
    name: string,
    x: Tensor4D,
    filters: Pick<ConvBatchNorm, "kernel" | "bias" | "depthwise">,
    { epsilon = 1e-3, shortcut, relu = false, ...window }: Window & NormOptions,
  ): Tensor4D {
    const norm = `${name}_bn`;
    const channels = [filters.kernel.shape[filters.depthwise ? 2 : 3]];
    return this.scope.convBatchNorm({
      ...filters,
      norm,
      x,
      gamma: this.scope.parameter(`${norm}/gamma`, channels, constant(1)) as Tensor1D,
      beta: this.scope.parameter(`${norm}/beta`, channels, constant(0)) as Tensor1D,
      epsilon: this.convention === "torch" ? TORCH_EPSILON : epsilon,
      ...this.#placed(window),
      shortcut,
      relu,
    });
  }

  #placed({ size = 3, stride = 1, padding }: Window): { stride: number; padding: "same" | number } {
    const chosen = padding ?? (this.convention === "torch" ? "symmetric" : "same");
    return { stride, padding: chosen === "same" || stride === 1 ? "same" : (size - 1) / 2 };
  }
}

export const zeroPadded = (x: Tensor4D, zeros: number): Tensor4D =>
  tf.pad(x, [[0, 0], [zeros, zeros], [zeros, zeros], [0, 0]]);
