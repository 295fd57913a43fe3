import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Layers } from "./layers.ts";

const EPSILON = 1.001e-5;

const stages = [
  { filters: 64, stride: 1, blocks: 3 },
  { filters: 128, stride: 2, blocks: 4 },
  { filters: 256, stride: 2, blocks: 6 },
  { filters: 512, stride: 2, blocks: 3 },
];

/**
 * The bottleneck: 1 × 1, 3 × 3 and 1 × 1 convolutions around a shortcut, which is projected in a stage's first block. The
 * first convolution has the stride, under the convention `torch` the second.
 */
const block = (
  l: Layers,
  name: string,
  x: Tensor4D,
  filters: number,
  stride: number,
  project: boolean,
): Tensor4D => {
  const unit = { bias: true, epsilon: EPSILON };
  const shortcut = project
    ? l.convBatchNorm(`${name}_0`, x, { ...unit, filters: 4 * filters, size: 1, stride })
    : x;
  const [first, second] = l.convention === "torch" ? [1, stride] : [stride, 1];
  let y = l.convBatchNorm(`${name}_1`, x, { ...unit, filters, size: 1, stride: first, relu: true });
  y = l.convBatchNorm(`${name}_2`, y, { ...unit, filters, size: 3, stride: second, relu: true });
  return l.convBatchNorm(`${name}_3`, y, { ...unit, filters: 4 * filters, size: 1, shortcut, relu: true });
};

/**
 * ResNet50 (He et al. 2016, table 1) as in Keras Applications, layer by layer and name by name, up to the global average
 * pooling: images N × side × side × 3 → N × 2048.
 */
export const resnet50 = (l: Layers, images: Tensor4D): Tensor2D => {
  const halve = { stride: 2, padding: "symmetric" } as const;
  const stem = { ...halve, filters: 64, size: 7, bias: true, epsilon: EPSILON, relu: true };
  let x = l.convBatchNorm("conv1", images, stem);
  x = l.maxPool(x, { ...halve, size: 3 });
  stages.forEach(({ filters, stride, blocks }, stage) => {
    for (let b = 0; b < blocks; b++) {
      x = block(l, `conv${stage + 2}_block${b + 1}`, x, filters, b === 0 ? stride : 1, b === 0);
    }
  });
  return l.globalAveragePool(x);
};
