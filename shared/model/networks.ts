import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Backbone } from "@subtaxa/contracts";
import { efficientNetB0 } from "./efficientnet_b0.ts";
import { EMBEDDING, type Layers } from "./layers.ts";
import { type Preprocessing, preprocessings } from "./preprocessing.ts";
import { resnet50 } from "./resnet50.ts";
import { small } from "./small.ts";

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
  small: { embedding: EMBEDDING, preprocessing: preprocessings.symmetric, forward: small },
  resnet50: { embedding: EMBEDDING, preprocessing: preprocessings.caffe, forward: resnet50 },
  "efficientnet-b0": { embedding: EMBEDDING, preprocessing: preprocessings.torch, forward: efficientNetB0 },
};
