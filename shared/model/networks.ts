import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import { type Backbone, featuresOf } from "@subtaxa/contracts";
import { tf } from "@subtaxa/tensorflow";
import { efficientNetB0 } from "./efficientnet_b0.ts";
import { EMBEDDING, type Layers } from "./layers.ts";
import { type Preprocessing, preprocessings } from "./preprocessing.ts";
import { resnet50 } from "./resnet50.ts";
import { small } from "./small.ts";

/** What a network takes of N images. */
export interface NetworkInput {
  /** Preprocessed images N × side × side × 3, or a frozen backbone's features of them, N × `features`. */
  readonly x: Tensor4D | Tensor2D;
  /** With size features: those, standardised, N × 3. */
  readonly sizes?: Tensor2D;
}

/** Its tensors, in an order that depends on nothing but which there are. */
export const inputTensors = ({ x, sizes }: NetworkInput): readonly (Tensor4D | Tensor2D)[] =>
  sizes === undefined ? [x] : [x, sizes];

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
  /** The whole network → embeddings N × `embedding`, of pooled features and sizes side by side. */
  readonly forward: (layers: Layers, input: NetworkInput) => Tensor2D;
}

const network = (
  backbone: Backbone,
  pooled: Network["pooled"],
  preprocessing: Preprocessing,
): Network => ({
  embedding: EMBEDDING,
  features: featuresOf[backbone],
  preprocessing,
  pooled,
  forward: (layers, { x, sizes }) => {
    const values = x.rank === 2 ? x as Tensor2D : pooled(layers, x as Tensor4D);
    return layers.dense("embedding", sizes ? tf.concat2d([values, sizes], 1) : values, EMBEDDING);
  },
});

/** Another network is one more file and one more line. */
export const networks: Readonly<Record<Backbone, Network>> = {
  small: network("small", small, preprocessings.symmetric),
  resnet50: network("resnet50", resnet50, preprocessings.caffe),
  "efficientnet-b0": network("efficientnet-b0", efficientNetB0, preprocessings.torch),
};
