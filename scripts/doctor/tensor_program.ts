/** A process of its own, so that a library that crashes takes nothing else along: computes and prints what it saw. */
import type { Tensor } from "@tensorflow/tfjs";
import { nativeBackend, tf } from "@subtaxa/tensorflow";

/** For loss = Σ (x·w)²: the loss, then its gradient in w, 2·xᵀ·(x·w). */
const x = tf.tensor2d([[1, 2], [3, 4]]);
const w = tf.tensor2d([[1, 0], [0, 2]]);
const { value, grad } = tf.valueAndGrad((weights: Tensor) =>
  tf.sum(tf.square(tf.matMul(x, weights as typeof w)))
)(w);

const started = performance.now();
const large = tf.ones([1024, 1024]);
tf.sum(tf.matMul(large, large)).dataSync();
const seconds = (performance.now() - started) / 1000;

const backend = nativeBackend();
const version: string = backend.binding.TF_Version;
console.log(JSON.stringify({
  version,
  device: backend.isUsingGpuDevice ? "GPU" : "CPU",
  values: [...value.dataSync(), ...grad.dataSync()],
  gigaflops: Math.round((2 * 1024 ** 3) / seconds / 1e9),
}));
