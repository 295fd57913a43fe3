/** K-Means, and pseudo-labels from any way of dividing a class. */
export { ClusteringError } from "./errors.ts";
export { KMeansParameters } from "./parameters.ts";
export { alongPrincipalAxes } from "./pca.ts";
export type { KMeansResult, KMeansSettings, Search } from "./kmeans.ts";
export { Points } from "./points.ts";
export { generatePseudoLabels, type PseudoLabelInput, type PseudoLabels } from "./pseudo_labels.ts";
export { kMeans, searchFor } from "./search.ts";
export type { Divide, Division } from "./relabel.ts";
