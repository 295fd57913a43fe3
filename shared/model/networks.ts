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
  /** Width of what the backbone gives. */
  readonly features: number;
  /** What random weights are trained with; pretrained ones bring their own. */
  readonly preprocessing: Preprocessing;
  /** The backbone: images N × side × side × 3, preprocessed → N × `features`. */
  readonly pooled: (layers: Layers, images: Tensor4D) => Tensor2D;
  /** The whole network: images, or what a frozen backbone made of them (N × `features`) → embeddings N × `embedding`. */
  readonly forward: (layers: Layers, input: Tensor4D | Tensor2D) => Tensor2D;
}

const network = (
  features: number,
  pooled: Network["pooled"],
  preprocessing: Preprocessing,
): Network => ({
  embedding: EMBEDDING,
  features,
  preprocessing,
  pooled,
  forward: (layers, input) => {
    const values = input.rank === 2 ? input as Tensor2D : pooled(layers, input as Tensor4D);
    return layers.dense("embedding", values, EMBEDDING);
  },
});

/** Another network is one more file and one more line. */
export const networks: Readonly<Record<Backbone, Network>> = {
  small: network(64, small, preprocessings.symmetric),
  resnet50: network(2048, resnet50, preprocessings.caffe),
  "efficientnet-b0": network(1280, efficientNetB0, preprocessings.torch),
};
