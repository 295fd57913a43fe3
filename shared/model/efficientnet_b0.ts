import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Layers } from "./layers.ts";

/** Tan & Le 2019, table 1; `expand` is the widening of a block's inside. */
const stages = [
  { filters: 16, size: 3, stride: 1, expand: 1, blocks: 1 },
  { filters: 24, size: 3, stride: 2, expand: 6, blocks: 2 },
  { filters: 40, size: 5, stride: 2, expand: 6, blocks: 2 },
  { filters: 80, size: 3, stride: 2, expand: 6, blocks: 3 },
  { filters: 112, size: 5, stride: 1, expand: 6, blocks: 3 },
  { filters: 192, size: 5, stride: 2, expand: 6, blocks: 4 },
  { filters: 320, size: 3, stride: 1, expand: 6, blocks: 1 },
];

/** Squeeze-and-excitation (Hu et al. 2018): scales each channel by what the means of all channels say. */
const excite = (l: Layers, name: string, x: Tensor4D, reduced: number): Tensor4D => {
  const channels = x.shape[3];
  let s = l.squeeze(x);
  s = l.swish(l.conv(`${name}_se_reduce`, s, { filters: reduced, size: 1, bias: true }));
  s = l.sigmoid(l.conv(`${name}_se_expand`, s, { filters: channels, size: 1, bias: true }));
  return l.multiply(x, s);
};

interface Block {
  readonly filters: number;
  readonly size: number;
  readonly stride: number;
  readonly expand: number;
}

/** The inverted bottleneck (Sandler et al. 2018), with a shortcut where the shape stays. */
const block = (l: Layers, name: string, x: Tensor4D, { filters, size, stride, expand }: Block): Tensor4D => {
  const channels = x.shape[3];
  let y = x;
  if (expand > 1) {
    y = l.swish(l.convBatchNorm(`${name}_expand`, y, { filters: expand * channels, size: 1 }));
  }
  y = l.swish(l.depthwiseConvBatchNorm(name, y, { size, stride }));
  y = excite(l, name, y, Math.floor(channels / 4));
  const same = stride === 1 && channels === filters;
  return l.convBatchNorm(`${name}_project`, y, { filters, size: 1, ...(same ? { shortcut: x } : {}) });
};

/**
 * EfficientNet-B0 (Tan & Le 2019) as in Keras Applications, layer by layer and name by name, up to the global average
 * pooling: images N × side × side × 3 → N × 1280. What the paper trains with beside it, stochastic depth
 * and dropout, is left out: a step is the same function of its batch for every network.
 */
export const efficientNetB0 = (l: Layers, images: Tensor4D): Tensor2D => {
  let x = l.swish(l.convBatchNorm("stem", images, { filters: 32, stride: 2 }));
  stages.forEach(({ blocks, stride, ...options }, stage) => {
    for (let b = 0; b < blocks; b++) {
      const name = `block${stage + 1}${"abcd"[b]}`;
      x = block(l, name, x, { ...options, stride: b === 0 ? stride : 1 });
    }
  });
  x = l.swish(l.convBatchNorm("top", x, { filters: 1280, size: 1 }));
  return l.globalAveragePool(x);
};
