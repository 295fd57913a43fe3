/** Datasets: import from folders, splits, and loading for training. */
export { type Augmentation, batch, type Images, type Levels, symmetriesOf, type Symmetry } from "./batch.ts";
export { DatasetError, type DatasetReason } from "./error.ts";
export { type Imported, importFolder, type ImportOptions } from "./import.ts";
export { type DatasetFiles, datasetFiles, parseManifest, readManifest } from "./files.ts";
export { loadImages, type LoadOptions, loadOriginals } from "./load.ts";
export { type Split, split } from "./split.ts";
export { findOwnImages, type Found } from "./walk.ts";
