import type { Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import type { Random } from "@subtaxa/random";
import { affineConvolution, convolution, fusedBatchNorm, tf } from "@subtaxa/tensorflow";
import { type ConvBatchNorm, type Scope, zeroPadded } from "./layers.ts";
import type { Weights } from "./safetensors.ts";

type Named<T> = ReadonlyMap<string, T>;
type Values = Weights<Float32Array>;

/** The tensor of this name; a network and its weights that do not fit each other are a defect, not an input error. */
const get = <T>(tensors: Named<T>, name: string): T => {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`the network asks for '${name}', which the model does not have`);
  return tensor;
};

/** The convolution by itself, without its bias. */
const convolved = (unit: ConvBatchNorm): Tensor4D => {
  const { x, kernel, depthwise, stride, padding } = unit;
  if (!depthwise) return convolution(x, kernel, unit);
  return padding === "same"
    ? tf.depthwiseConv2d(x, kernel, stride, "same")
    : tf.depthwiseConv2d(zeroPadded(x, padding), kernel, stride, "valid");
};

/** A bias before a batch normalisation changes nothing but the mean that is taken out again: it needs no adding. */
const normalised = (unit: ConvBatchNorm) => fusedBatchNorm(convolved(unit), unit.gamma, unit.beta, unit);

/** Creates every parameter that the network asks for; the nth has the random stream `randomFor(n)` to itself. */
export const creating = (randomFor: (index: number) => Random) => {
  const parameters = new Map<string, Values>();
  const scope: Scope = {
    parameter: (name, shape, initial) => {
      const random = randomFor(parameters.size);
      const length = shape.reduce((product, side) => product * side, 1);
      const values = Float32Array.from({ length }, () => initial(random));
      parameters.set(name, { shape, values });
      return tf.tensor(values, [...shape]);
    },
    convBatchNorm: convolved,
  };
  return { scope, parameters };
};

/**
 * Inference, without gradients: normalises with the statistics that were measured, which are folded into kernel and bias of
 * the convolution. The tensors stay the caller's; what is folded goes with `dispose`.
 */
export class InferenceScope implements Scope {
  readonly #folded = new Map<string, { readonly kernel: Tensor4D; readonly bias: Tensor1D }>();

  constructor(readonly parameters: Named<Tensor>, readonly statistics: Named<Tensor>) {}

  parameter(name: string): Tensor {
    return get(this.parameters, name);
  }

  convBatchNorm(unit: ConvBatchNorm): Tensor4D {
    const { kernel, bias } = this.#fold(unit);
    if (!unit.depthwise) return affineConvolution(unit.x, kernel, bias, unit);
    const y = tf.add<Tensor4D>(convolved({ ...unit, kernel }), bias);
    const sum = unit.shortcut ? tf.add<Tensor4D>(y, unit.shortcut) : y;
    return unit.relu ? tf.relu(sum) : sum;
  }

  dispose(): void {
    for (const { kernel, bias } of this.#folded.values()) tf.dispose([kernel, bias]);
    this.#folded.clear();
  }

  #fold({ norm, kernel, bias, gamma, beta, epsilon, depthwise }: ConvBatchNorm) {
    const known = this.#folded.get(norm);
    if (known !== undefined) return known;
    const folded = tf.tidy(() => {
      const mean = get(this.statistics, `${norm}/moving_mean`);
      const variance = get(this.statistics, `${norm}/moving_variance`);
      const scale = tf.div(gamma, tf.sqrt(tf.add(variance, epsilon)));
      return {
        kernel: tf.keep(tf.mul<Tensor4D>(kernel, depthwise ? tf.expandDims(scale, 1) : scale)),
        bias: tf.keep(tf.add<Tensor1D>(tf.mul(bias ? tf.sub(bias, mean) : tf.neg(mean), scale), beta)),
      };
    });
    this.#folded.set(norm, folded);
    return folded;
  }
}

/** What the layers that are not trained are asked for goes to `frozen`, everything else to `others`. */
const besides = (frozen: InferenceScope, others: Scope): Scope => ({
  parameter: (name, ...rest) => (frozen.parameters.has(name) ? frozen : others).parameter(name, ...rest),
  convBatchNorm: (unit) =>
    (frozen.parameters.has(`${unit.norm}/gamma`) ? frozen : others).convBatchNorm(unit),
});

const nothing = new InferenceScope(new Map(), new Map());

/** Normalises with the batch's own statistics, differentiably. */
export const training = (parameters: Named<Tensor>, frozen = nothing): Scope =>
  besides(frozen, {
    parameter: (name) => get(parameters, name),
    convBatchNorm: (unit) => normalised(unit).y,
  });

/** Sums over the positions seen so far of a layer's inputs, per channel. */
interface Moments {
  count: number;
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/**
 * Batch statistics over many batches: each is normalised with its own statistics, as in training, and every layer's inputs
 * are pooled: mean and unbiased variance over all positions of all images (within and between the batches). Frozen layers are
 * not measured.
 */
export const measuring = (parameters: Named<Tensor>, frozen = nothing) => {
  const layers = new Map<string, Moments>();
  const collect = (layer: string, y: Tensor4D, mean: Tensor, variance: Tensor) => {
    const [images, height, width, channels] = y.shape;
    const count = images * height * width;
    const moments = layers.get(layer) ??
      { count: 0, sum: new Float64Array(channels), squares: new Float64Array(channels) };
    const means = mean.dataSync();
    const variances = variance.dataSync();
    moments.count += count;
    for (let c = 0; c < channels; c++) {
      moments.sum[c]! += count * means[c]!;
      moments.squares[c]! += (count - 1) * variances[c]! + count * means[c]! ** 2;
    }
    layers.set(layer, moments);
  };
  const scope = besides(frozen, {
    parameter: (name) => get(parameters, name),
    convBatchNorm: (unit) => {
      const { y, mean, variance } = normalised(unit);
      collect(unit.norm, y, unit.bias ? tf.add(mean, unit.bias) : mean, variance);
      return y;
    },
  });
  /** `<layer>/moving_mean` and `<layer>/moving_variance` of everything seen, layer by layer. */
  const statistics = (): Map<string, Values> =>
    new Map([...layers].flatMap(([layer, { count, sum, squares }]) => {
      const shape = [sum.length];
      const mean = Float32Array.from(sum, (value) => value / count);
      const variance = Float32Array.from(
        squares,
        (value, c) => Math.max((value - sum[c]! ** 2 / count) / (count - 1), 0),
      );
      return [
        [`${layer}/moving_mean`, { shape, values: mean }] as const,
        [`${layer}/moving_variance`, { shape, values: variance }] as const,
      ];
    }));
  return { scope, statistics };
};
