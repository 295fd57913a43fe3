/** K-Means, and pseudo-labels from any way of dividing a class. */
export { ClusteringError } from "./errors.ts";
export { kMeans, type KMeansResult, KMeansSearch, type KMeansSettings } from "./kmeans.ts";
export { Points } from "./points.ts";
export { generatePseudoLabels, type PseudoLabelInput, type PseudoLabels } from "./pseudo_labels.ts";
export type { Divide, Division } from "./relabel.ts";
