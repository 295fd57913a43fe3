/** Metrics of classifications and of clusterings. */
export * from "./agreement.ts";
export * from "./classification.ts";
