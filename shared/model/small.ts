import type { Tensor2D, Tensor4D } from "@tensorflow/tfjs";
import type { Layers } from "./layers.ts";

const stages = [
  { filters: 16, stride: 1, blocks: 1 },
  { filters: 32, stride: 2, blocks: 1 },
  { filters: 64, stride: 2, blocks: 2 },
];

/** Two 3 × 3 convolutions around a shortcut (He et al. 2016, the basic block), projected where the shape changes. */
const block = (l: Layers, name: string, x: Tensor4D, filters: number, stride: number): Tensor4D => {
  let y = l.convBatchNorm(`${name}_1`, x, { filters, stride, relu: true });
  if (stride === 1 && x.shape[3] === filters) {
    return l.convBatchNorm(`${name}_2`, y, { filters, shortcut: x, relu: true });
  }
  y = l.convBatchNorm(`${name}_2`, y, { filters });
  return l.convBatchNorm(`${name}_0`, x, { filters, stride, size: 1, shortcut: y, relu: true });
};

/**
 * A residual network for CPUs and small images: images N × side × side × 3 → N × 64. The first convolution and
 * two of the stages halve the resolution.
 */
export const small = (l: Layers, images: Tensor4D): Tensor2D => {
  let x = l.convBatchNorm("stem", images, { filters: 16, stride: 2, relu: true });
  stages.forEach(({ filters, stride, blocks }, stage) => {
    for (let b = 0; b < blocks; b++) {
      x = block(l, `stage${stage + 1}_block${b + 1}`, x, filters, b === 0 ? stride : 1);
    }
  });
  return l.globalAveragePool(x);
};
