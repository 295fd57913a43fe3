/** Datasets: import from folders, splits, and loading for training. */
export { type Augmentation, batch, type Images } from "./batch.ts";
export { DatasetError, type DatasetReason } from "./error.ts";
export { type Imported, importFolder, type ImportOptions } from "./import.ts";
export { loadImages, type LoadOptions } from "./load.ts";
export { type Split, split } from "./split.ts";
