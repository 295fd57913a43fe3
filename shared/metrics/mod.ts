/** Metrics of classifications and of clusterings. */
export * from "./classification.ts";
