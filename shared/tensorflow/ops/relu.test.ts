import type { Tensor } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { relu } from "./relu.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

Deno.test("relu gives tfjs' values and gradients, zero at zero", () =>
  tf.tidy(() => {
    const x = tf.concat([tf.randomNormal([50], 0, 1, "float32", 3), tf.tensor1d([0, -0, 1e-30])]);
    const weights = tf.randomNormal([53], 0, 1, "float32", 4);
    expectClose(relu(x), tf.relu(x), 0);
    const slope = (f: (a: Tensor) => Tensor) => tf.grad((a: Tensor) => f(a).square().mul(weights).sum())(x);
    expectClose(slope(relu), slope(tf.relu), 1e-6);
  }));

Deno.test("relu leaves no tensor behind", () => {
  const x = tf.randomNormal([2, 3, 4]);
  expectNoLeak(() => tf.dispose([relu(x), tf.grad((a: Tensor) => relu(a).sum())(x)]));
  x.dispose();
});
