/** Networks, their heads of sub-classes, checkpoints, and inference. */
export {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  encodeOptimizer,
  type Parameter,
  readCheckpoint,
  requireSameRun,
  type TrainingState,
  withOptimizer,
} from "./checkpoint.ts";
export { firstCheckpoint, readPretrainedOf } from "./first.ts";
export { ModelError, type ModelReason } from "./error.ts";
export { classProbabilities, followLabels, type Head, type HeadRow, type Trained } from "./head.ts";
export {
  backboneFeatures,
  type BackboneWork,
  type BatchProgress,
  classify,
  embed,
  type Inference,
  inferenceBatch,
  stopwatch,
  viewFeatures,
} from "./inference.ts";
export { type FrozenFeatures } from "./frozen.ts";
export { keepLatest } from "./latest.ts";
export { Convention, Layers, type Scope } from "./layers.ts";
export {
  loadBackbone,
  type LoadedBackbone,
  loadModel,
  type Model,
  newCheckpoint,
  type NewModel,
} from "./model.ts";
export { inputTensors, type Network, type NetworkInput, networks } from "./networks.ts";
export { levelsOf, Preprocessing, preprocessings } from "./preprocessing.ts";
export {
  decodePretrained,
  encodePretrained,
  type Fetching,
  fetchPublished,
  type Pretrained,
  type Published,
  published,
  publishedFor,
  readPretrained,
} from "./pretrained/mod.ts";
export {
  type Fold,
  imageTensor,
  type InputOptions,
  type Inputs,
  isFeatures,
  networkInput,
  type RunData,
  type RunDataInput,
  type RunDataLoader,
  runDataLoader,
} from "./run_data.ts";
export { runDataFiles } from "./run_files.ts";
export { readSafetensors, type Safetensors, type Weights, writeSafetensors } from "./safetensors.ts";
export { InferenceScope, measuring, training } from "./scopes.ts";
export { type LogSizes, logSizes, type SizeScaling, sizeScalingOf, standardise } from "./sizes.ts";
