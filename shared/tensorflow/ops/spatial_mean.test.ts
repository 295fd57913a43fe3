import type { Rank, Scalar, Tensor, Tensor4D } from "@tensorflow/tfjs";
import { tf } from "../load.ts";
import { spatialMean } from "./spatial_mean.ts";
import { expectClose, expectNoLeak } from "./testing.ts";

const images = () => tf.randomNormal<Rank.R4>([2, 3, 4, 5], 0, 1, "float32", 1);

for (const keepSides of [false, true]) {
  Deno.test(`spatial mean${keepSides ? ", sides kept," : ""} and its gradient equal tfjs' own`, () => {
    expectNoLeak(() =>
      tf.tidy(() => {
        const loss = (mean: Tensor) => tf.sum(tf.mul(mean, tf.square(mean))) as Scalar;
        const x = images();
        expectClose(spatialMean(x, keepSides), tf.mean(x, [1, 2], keepSides), 1e-6);
        const ours = tf.grad((x) => loss(spatialMean(x as Tensor4D, keepSides)))(x);
        expectClose(ours, tf.grad((x) => loss(tf.mean(x, [1, 2], keepSides)))(x), 1e-6);
      })
    );
  });
}
