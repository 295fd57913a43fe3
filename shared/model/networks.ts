import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Backbone } from "@subtaxa/contracts";
import type { Layers } from "./layers.ts";
import { EMBEDDING, small } from "./small.ts";

/** How a pixel's value from 0 to 1 is fed to the network: value · `scale` + `offset`. Stored with the model. */
export interface Preprocessing {
  readonly scale: number;
  readonly offset: number;
}

/** A network up to the embedding; the head is not part of it. */
export interface Network {
  /** Width of the embedding. */
  readonly embedding: number;
  /** What the network's weights expect; a new model takes it over. */
  readonly preprocessing: Preprocessing;
  /** Images N × side × side × 3, preprocessed → embeddings N × `embedding`. */
  readonly forward: (layers: Layers, images: Tensor4D) => Tensor2D;
}

/** Another network is one more file and one more line. */
export const networks: Readonly<Record<Backbone, Network>> = {
  small: { embedding: EMBEDDING, preprocessing: { scale: 2, offset: -1 }, forward: small },
};
