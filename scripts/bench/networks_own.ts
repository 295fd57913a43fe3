// Answers every line on standard input with the seconds of one train step, or of embedding one batch:
// networks_own.ts train|embed NETWORK SIDE BATCH CLASSES
import { Backbone } from "@subtaxa/contracts";
import { loadModel, newCheckpoint } from "@subtaxa/model";
import { tf } from "@subtaxa/tensorflow";
import type { Rank } from "@tensorflow/tfjs";
import { Trainee } from "../../services/trainer/mod.ts";

const [task, network, ...sizes] = Deno.args;
const [side = 0, batch = 0, classes = 0] = sizes.map(Number);
const images = () => tf.randomNormal<Rank.R4>([batch, side, side, 3], 0, 1, "float32", 1);

const trainee = new Trainee(newCheckpoint({
  backbone: Backbone.parse(network),
  imageSize: side,
  classes: Array.from({ length: classes }, (_, c) => `class ${c}`),
  seed: 1,
  fold: 0,
}));

/** Until the device has done all that it was told to: a GPU takes operations in their order. */
const finish = () => tf.tidy(() => void tf.add(tf.zeros([1]), 1).dataSync());

const prepareTraining = () => {
  const x = images();
  const rows = tf.tensor1d(Array.from({ length: batch }, (_, i) => i % classes), "int32");
  return () => {
    trainee.step({ x }, { rows, subclasses: rows }, 1e-4);
    finish();
  };
};

const prepareEmbedding = () => {
  const model = loadModel({ ...trainee.state(), statistics: trainee.measure([{ x: images() }]) });
  trainee.dispose();
  const x = images();
  return () => {
    const embeddings = model.embed({ x });
    embeddings.dataSync();
    embeddings.dispose();
  };
};

const work = task === "train" ? prepareTraining() : prepareEmbedding();
work();
console.log("ready");
for await (const _ of Deno.stdin.readable) {
  const started = performance.now();
  work();
  console.log((performance.now() - started) / 1000);
}
