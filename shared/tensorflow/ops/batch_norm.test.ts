import type { Tensor, Tensor1D, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { fusedBatchNorm } from "./batch_norm.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const epsilon = 1e-3;
const shape: [number, number, number, number] = [4, 5, 6, 3];

const example = () => ({
  x: tf.randomNormal(shape, 2, 3, "float32", 1) as Tensor4D,
  gamma: tf.tensor1d([0.5, 1.5, -2]),
  beta: tf.tensor1d([1, 0, -1]),
  weights: tf.randomNormal(shape, 0, 1, "float32", 2) as Tensor4D,
});

const composed = (x: Tensor4D, gamma: Tensor1D, beta: Tensor1D) => {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const y = x.sub(mean).div(variance.add(epsilon).sqrt()).mul(gamma).add(beta);
  return { y: y as Tensor4D, mean: mean as Tensor1D, variance: variance as Tensor1D };
};

Deno.test("fused batch normalisation gives the composed one's values and unbiased variance", () =>
  tf.tidy(() => {
    const { x, gamma, beta } = example();
    const fused = fusedBatchNorm(x, gamma, beta, { epsilon });
    const expected = composed(x, gamma, beta);
    expectClose(fused.y, expected.y);
    expectClose(fused.mean, expected.mean);
    const count = 4 * 5 * 6;
    expectClose(fused.variance, expected.variance.mul(count / (count - 1)));
  }));

Deno.test("fused batch normalisation gives the composed one's gradients", () =>
  tf.tidy(() => {
    const { x, gamma, beta, weights } = example();
    const gradients = (normalise: typeof composed) =>
      tf.grads((...inputs: Tensor[]) => {
        const [a, b, c] = inputs as [Tensor4D, Tensor1D, Tensor1D];
        return normalise(a, b, c).y.square().mul(weights).sum();
      })([x, gamma, beta]);
    const expected = gradients(composed);
    gradients((a, b, c) => fusedBatchNorm(a, b, c, { epsilon })).forEach((gradient, index) =>
      expectClose(gradient, expected[index] as Tensor, 1e-4)
    );
  }));

for (
  const [name, relu, withShortcut] of [["ReLU", true, false], ["a shortcut", false, true], [
    "both",
    true,
    true,
  ]] as const
) {
  Deno.test(`fused batch normalisation with ${name} gives the composed one's values and gradients`, () =>
    tf.tidy(() => {
      const { x, gamma, beta, weights } = example();
      const shortcut = tf.randomNormal(shape, 0, 1, "float32", 3) as Tensor4D;
      type Normalise = (x: Tensor4D, gamma: Tensor1D, beta: Tensor1D, shortcut: Tensor4D) => Tensor4D;
      const plain: Normalise = (a, b, c, d) => {
        const { y } = composed(a, b, c);
        const sum = withShortcut ? tf.add<Tensor4D>(y, d) : y;
        return relu ? tf.relu(sum) : sum;
      };
      const fused: Normalise = (a, b, c, d) =>
        fusedBatchNorm(a, b, c, { epsilon, relu, shortcut: withShortcut ? d : undefined }).y;
      expectClose(fused(x, gamma, beta, shortcut), plain(x, gamma, beta, shortcut));
      const gradients = (normalise: Normalise) =>
        tf.grads((...inputs: Tensor[]) => {
          const [a, b, c, d] = inputs as [Tensor4D, Tensor1D, Tensor1D, Tensor4D];
          return tf.add(normalise(a, b, c, d).square().mul(weights).sum(), tf.mul(d, 1e-3).sum());
        })([x, gamma, beta, shortcut]);
      const expected = gradients(plain);
      gradients(fused).forEach((gradient, index) => expectClose(gradient, expected[index]!, 1e-4));
    }));
}

Deno.test("fused batch normalisation leaves no tensor behind", () => {
  const { x, gamma, beta, weights } = tf.tidy(example);
  const variable = tf.variable(gamma);
  expectNoLeak(() => {
    const { y, mean, variance } = fusedBatchNorm(x, gamma, beta);
    tf.dispose([y, mean, variance]);
    const { value, grads } = tf.variableGrads(
      () => fusedBatchNorm(x, variable as Tensor1D, beta).y.mul(weights).sum().asScalar(),
      [variable],
    );
    tf.dispose([value, grads]);
  });
  tf.dispose([x, gamma, beta, weights, variable]);
});
