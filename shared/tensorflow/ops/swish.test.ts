import type { Tensor } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { swish } from "./swish.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

Deno.test("swish gives the composed one's values and gradients, also where sigmoid saturates", () =>
  tf.tidy(() => {
    const x = tf.concat([tf.randomNormal([50], 0, 3, "float32", 3), tf.tensor1d([0, -100, 100])]);
    const weights = tf.randomNormal([53], 0, 1, "float32", 4);
    const composed = (a: Tensor) => a.mul(a.sigmoid());
    expectClose(swish(x), composed(x));
    const slope = (f: (a: Tensor) => Tensor) => tf.grad((a: Tensor) => f(a).mul(weights).sum())(x);
    expectClose(slope(swish), slope(composed));
  }));

Deno.test("swish leaves no tensor behind", () => {
  const x = tf.randomNormal([2, 3, 4]);
  expectNoLeak(() => tf.dispose([swish(x), tf.grad((a: Tensor) => swish(a).sum())(x)]));
  x.dispose();
});
