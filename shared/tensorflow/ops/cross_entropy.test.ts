import type { Tensor, Tensor2D } from "@tensorflow/tfjs";
import { expect } from "expect";
import { tf } from "../load.ts";
import { sparseSoftmaxCrossEntropy } from "./cross_entropy.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const labels = () => tf.tensor1d([0, 4, 2, 2, 1, 3, 0], "int32");
const logits = () => tf.randomNormal([7, 5], 0, 4, "float32", 5) as Tensor2D;

const composed = (a: Tensor2D) => tf.neg(tf.sum(tf.mul(tf.logSoftmax(a), tf.oneHot(labels(), 5)), 1));

Deno.test("sparse cross-entropy gives the composed one's values and gradients", () =>
  tf.tidy(() => {
    const x = logits();
    const weights = tf.tensor1d([1, 2, 0, -1, 0.5, 3, 1]);
    expectClose(sparseSoftmaxCrossEntropy(x, labels()), composed(x));
    const slope = (f: (a: Tensor2D) => Tensor) =>
      tf.grad((a: Tensor) => f(a as Tensor2D).mul(weights).sum())(x);
    expectClose(slope((a) => sparseSoftmaxCrossEntropy(a, labels())), slope(composed));
  }));

Deno.test("a certain logit gives no loss and a hopeless one a finite loss", () =>
  tf.tidy(() => {
    const loss = sparseSoftmaxCrossEntropy(tf.tensor2d([[500, 0], [0, 500]]), tf.tensor1d([0, 0], "int32"));
    expect([...loss.dataSync()]).toEqual([0, 500]);
  }));

Deno.test("a label outside the classes is refused", () =>
  tf.tidy(() => {
    const call = () => sparseSoftmaxCrossEntropy(tf.zeros([1, 2]), tf.tensor1d([2], "int32")).dataSync();
    expect(call).toThrow(/label value of 2/);
  }));

Deno.test("sparse cross-entropy leaves no tensor behind", () => {
  const [x, y] = [logits(), labels()];
  expectNoLeak(() =>
    tf.dispose([
      sparseSoftmaxCrossEntropy(x, y),
      tf.grad((a: Tensor) => sparseSoftmaxCrossEntropy(a as Tensor2D, y).sum())(x),
    ])
  );
  tf.dispose([x, y]);
});
