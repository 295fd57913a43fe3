import type { Tensor, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { maxPool } from "./max_pool.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const images = () => tf.randomNormal([2, 9, 9, 3], 0, 1, "float32", 1) as Tensor4D;

for (const padding of ["same", "valid"] as const) {
  Deno.test(`max pooling, ${padding}: the composed one's values and gradient`, () =>
    tf.tidy(() => {
      const x = images();
      const composed = (a: Tensor4D) => tf.maxPool(a, 3, 2, padding);
      const fused = (a: Tensor4D) => maxPool(a, 3, 2, padding);
      expectClose(fused(x), composed(x), 0);
      const weights = tf.randomNormal(composed(x).shape, 0, 1, "float32", 2);
      const slope = (f: (a: Tensor4D) => Tensor4D) =>
        tf.grad((a: Tensor) => f(a as Tensor4D).mul(weights).sum())(x);
      expectClose(slope(fused), slope(composed));
    }));
}

Deno.test("max pooling leaves no tensor behind", () => {
  const x = images();
  const slope = tf.grad((a: Tensor) => maxPool(a as Tensor4D, 3, 2, "same").sum());
  expectNoLeak(() => {
    maxPool(x, 3, 2, "same").dispose();
    slope(x).dispose();
  });
});
