export { fusedBatchNorm, type FusedBatchNormOptions, type NormalisedBatch } from "./batch_norm.ts";
export {
  affineConvolution,
  type AffineConvolutionOptions,
  convolution,
  type ConvolutionOptions,
} from "./convolution.ts";
export { maxPool } from "./max_pool.ts";
export { spatialMean } from "./spatial_mean.ts";
export { swish } from "./swish.ts";
export { sparseSoftmaxCrossEntropy } from "./cross_entropy.ts";
export { type AdamOptions, type AdamState, type AdamWeight, FusedAdam } from "./adam.ts";
export { type Attribute, type Differentiable, runOperation, withGradient } from "./native.ts";
