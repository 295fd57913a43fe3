import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Layers } from "./layers.ts";

const stages = [
  { filters: 16, stride: 1, blocks: 1 },
  { filters: 32, stride: 2, blocks: 1 },
  { filters: 64, stride: 2, blocks: 2 },
];

/** Two 3 × 3 convolutions around a shortcut (He et al. 2016, the basic block), projected where the shape changes. */
const block = (l: Layers, name: string, x: Tensor4D, filters: number, stride: number): Tensor4D => {
  let y = l.conv(`${name}_1_conv`, x, { filters, stride });
  y = l.relu(l.batchNorm(`${name}_1_bn`, y));
  y = l.conv(`${name}_2_conv`, y, { filters });
  y = l.batchNorm(`${name}_2_bn`, y);
  const same = stride === 1 && x.shape[3] === filters;
  const shortcut = same
    ? x
    : l.batchNorm(`${name}_0_bn`, l.conv(`${name}_0_conv`, x, { filters, stride, size: 1 }));
  return l.relu(l.add(shortcut, y));
};

/**
 * A residual network for CPUs and small images: images N × side × side × 3 → N × 64. The first convolution and
 * two of the stages halve the resolution.
 */
export const small = (l: Layers, images: Tensor4D): Tensor2D => {
  let x = l.conv("stem_conv", images, { filters: 16, stride: 2 });
  x = l.relu(l.batchNorm("stem_bn", x));
  stages.forEach(({ filters, stride, blocks }, stage) => {
    for (let b = 0; b < blocks; b++) {
      x = block(l, `stage${stage + 1}_block${b + 1}`, x, filters, b === 0 ? stride : 1);
    }
  });
  return l.globalAveragePool(x);
};
