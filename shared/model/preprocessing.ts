import type { Levels } from "@subtaxa/dataset";
import { z } from "zod";

/** A figure for each channel; one number stands for three equal ones. */
const PerChannel = z.union([
  z.tuple([z.number(), z.number(), z.number()]),
  z.number().transform((value): [number, number, number] => [value, value, value]),
]);

/**
 * How pixels are fed to a network: the colours in its order, each value from 0 to 1 times its channel's `scale` plus
 * its `offset`. Stored with the model, so that training, evaluation, extraction and prediction do the same.
 */
export const Preprocessing = z.object({
  channels: z.enum(["rgb", "bgr"]).default("rgb"),
  /** In the order of `channels`, like `offset`. */
  scale: PerChannel,
  offset: PerChannel,
});
export type Preprocessing = z.infer<typeof Preprocessing>;

const [MEAN, DEVIATION] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]] as const;

/** The usual ones, by the names that Keras gives the latter two (`imagenet_utils.preprocess_input`). */
export const preprocessings = {
  /** From −1 to 1. */
  symmetric: { channels: "rgb", scale: [2, 2, 2], offset: [-1, -1, -1] },
  /** From 0 to 255 less ImageNet's mean colour, blue first: what Keras' ResNet50 was trained with. */
  caffe: { channels: "bgr", scale: [255, 255, 255], offset: [-103.939, -116.779, -123.68] },
  /** ImageNet's mean 0 and standard deviation 1: torchvision's, and what is inside Keras' EfficientNet. */
  torch: {
    channels: "rgb",
    scale: [1 / DEVIATION[0], 1 / DEVIATION[1], 1 / DEVIATION[2]],
    offset: [-MEAN[0] / DEVIATION[0], -MEAN[1] / DEVIATION[1], -MEAN[2] / DEVIATION[2]],
  },
} as const satisfies Record<string, Readonly<Preprocessing>>;

/** What the levels of images with so many channels become: three channels in the network's order, grey repeated. */
export const levelsOf = ({ channels, scale, offset }: Preprocessing, imageChannels: 1 | 3): Levels => {
  const order = channels === "rgb" ? [0, 1, 2] : [2, 1, 0];
  return order.map((channel, c) => ({
    channel: imageChannels === 1 ? 0 : channel,
    scale: scale[c]!,
    offset: offset[c]!,
  }));
};
