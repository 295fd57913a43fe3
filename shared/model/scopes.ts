import type { Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import type { Random } from "@subtaxa/random";
import { batchNormWith, fusedBatchNorm, tf } from "@subtaxa/tensorflow";
import type { Scope } from "./layers.ts";
import type { Weights } from "./safetensors.ts";

type Named<T> = ReadonlyMap<string, T>;
type Values = Weights<Float32Array>;

/** The tensor of this name; a network and its weights that do not fit each other are a defect, not an input error. */
const get = <T>(tensors: Named<T>, name: string): T => {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`the network asks for '${name}', which the model does not have`);
  return tensor;
};

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
    normalise: (_, x) => x,
  };
  return { scope, parameters };
};

/** The layers that are not trained: their weights, and the statistics by which they go on normalising. */
export interface Frozen {
  readonly parameters: Named<Tensor>;
  readonly statistics: Named<Tensor>;
}

const nothing: Frozen = { parameters: new Map(), statistics: new Map() };

/** What the frozen layers are asked for goes to them, everything else to `others`. */
const besides = (frozen: Frozen, others: Scope): Scope => {
  const inference = inferring(frozen.parameters, frozen.statistics);
  return {
    parameter: (name, ...rest) => (frozen.parameters.has(name) ? inference : others).parameter(name, ...rest),
    normalise: (layer, ...rest) =>
      (frozen.parameters.has(`${layer}/gamma`) ? inference : others).normalise(layer, ...rest),
  };
};

/** Normalises with the batch's own statistics, differentiably. */
export const training = (parameters: Named<Tensor>, frozen = nothing): Scope =>
  besides(frozen, {
    parameter: (name) => get(parameters, name),
    normalise: (_, x, gamma, beta, epsilon) =>
      fusedBatchNorm(x, gamma as Tensor1D, beta as Tensor1D, { epsilon }).y,
  });

/** Normalises with the statistics that were measured. */
export const inferring = (parameters: Named<Tensor>, statistics: Named<Tensor>): Scope => ({
  parameter: (name) => get(parameters, name),
  normalise: (layer, x, gamma, beta, epsilon) =>
    batchNormWith(x, gamma as Tensor1D, beta as Tensor1D, {
      mean: get(statistics, `${layer}/moving_mean`) as Tensor1D,
      variance: get(statistics, `${layer}/moving_variance`) as Tensor1D,
    }, { epsilon }),
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
  const collect = (layer: string, x: Tensor4D, mean: Tensor1D, variance: Tensor1D) => {
    const [images, height, width, channels] = x.shape;
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
    normalise: (layer, x, gamma, beta, epsilon) => {
      const { y, mean, variance } = fusedBatchNorm(x, gamma as Tensor1D, beta as Tensor1D, { epsilon });
      collect(layer, x, mean, variance);
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
