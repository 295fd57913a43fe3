/** Networks, their heads of sub-classes, checkpoints, and inference. */
export { type Checkpoint, decodeCheckpoint, encodeCheckpoint, type Parameter } from "./checkpoint.ts";
export { ModelError, type ModelReason } from "./error.ts";
export { classLogProbabilities, followLabels, type Head, type HeadRow, type Trained } from "./head.ts";
export { Layers } from "./layers.ts";
export { loadModel, type Model, newCheckpoint } from "./model.ts";
export { type Network, networks, type Preprocessing } from "./networks.ts";
export { type PixelBatch, preprocess } from "./preprocess.ts";
export { measuring, training } from "./scopes.ts";
