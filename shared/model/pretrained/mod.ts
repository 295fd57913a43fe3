/** Weights that others have trained: reading, keeping and fetching them. */
export { type Fetching, fetchPublished, type Published, published, publishedFor } from "./published.ts";
export { decodePretrained, encodePretrained, type Pretrained } from "./pretrained.ts";
export { readPretrained } from "./read.ts";
export { type Shapes, shapesOf } from "./shapes.ts";
