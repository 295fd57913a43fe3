import type { Rank, Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { affineConvolution, convolution } from "./convolution.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const images = (side: number) => tf.randomNormal([3, side, side, 4], 0, 1, "float32", 1) as Tensor4D;
const kernelOf = (size: number) => tf.randomNormal([size, size, 4, 5], 0, 1, "float32", 2) as Tensor4D;

const composed = (x: Tensor4D, kernel: Tensor4D, stride: number, padding: "same" | number): Tensor4D => {
  if (padding === "same") return tf.conv2d(x, kernel, stride, "same");
  const side: [number, number] = [padding, padding];
  return tf.conv2d(tf.pad(x, [[0, 0], side, side, [0, 0]]), kernel, stride, "valid");
};

const cases: [size: number, stride: number, padding: "same" | number, side?: number][] = [
  ...[[1, 1, "same"], [1, 2, "same"], [3, 1, "same"], [3, 2, "same"]] as [number, number, "same"][],
  ...[[3, 2, 1], [3, 2, 0], [7, 2, 3]] as [number, number, number][],
  ...[[1, 2, "same", 6], [1, 3, 0, 6]] as [number, number, "same" | number, number][],
];

for (const [size, stride, padding, side = 7] of cases) {
  const name = `${size} × ${size}, stride ${stride}, padding ${padding}, images of ${side} × ${side}`;

  Deno.test(`convolution ${name}: the composed one's values and gradients`, () =>
    tf.tidy(() => {
      const [x, kernel] = [images(side), kernelOf(size)];
      const expected = composed(x, kernel, stride, padding);
      expectClose(convolution(x, kernel, { stride, padding }), expected, 1e-4);
      const weights = tf.randomNormal(expected.shape, 0, 1, "float32", 3);
      const gradients = (f: (x: Tensor4D, kernel: Tensor4D) => Tensor4D) =>
        tf.grads((a: Tensor, b: Tensor) => f(a as Tensor4D, b as Tensor4D).square().mul(weights).sum())([
          x,
          kernel,
        ]);
      const wanted = gradients((a, b) => composed(a, b, stride, padding));
      gradients((a, b) => convolution(a, b, { stride, padding })).forEach((gradient, i) =>
        expectClose(gradient, wanted[i]!, 1e-3)
      );
    }));

  for (const relu of [false, true]) {
    Deno.test(`affine convolution ${name}${relu ? ", ReLU" : ""}: the composed one's values`, () =>
      tf.tidy(() => {
        const [x, kernel] = [images(side), kernelOf(size)];
        const bias = tf.tensor1d([1, -2, 0, 3, 0.5]);
        const plain = tf.add<Tensor4D>(composed(x, kernel, stride, padding), bias);
        const shortcut = tf.randomNormal(plain.shape, 0, 5, "float32", 4) as Tensor4D;
        const end = (y: Tensor) => relu ? tf.relu(y) : y;
        const given = (shortcut?: Tensor4D) =>
          affineConvolution(x, kernel, bias as Tensor1D, { stride, padding, shortcut, relu });
        expectClose(given(), end(plain), 1e-4);
        const kept = shortcut.clone();
        expectClose(given(shortcut), end(tf.add(plain, shortcut)), 1e-4);
        expectClose(shortcut, kept, 0);
      }));
  }
}

Deno.test("a convolution's step leaves no tensor behind", () => {
  const [x, first, second] = [images(7), tf.variable(kernelOf(1)), tf.variable(tf.zeros([3, 3, 5, 2]))];
  const bias = tf.zeros<Rank.R1>([5]);
  expectNoLeak(() => {
    const { value, grads } = tf.variableGrads(() => {
      const y = convolution(x, first as Tensor4D);
      return convolution(y, second as Tensor4D, { stride: 2, padding: 1 }).sum().asScalar();
    }, [first, second]);
    tf.dispose([value, grads]);
    affineConvolution(x, first as Tensor4D, bias).dispose();
  });
});
