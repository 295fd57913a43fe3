import { Effect } from "effect";
import type { Benchmark } from "./benchmark.ts";
import { ownRounds, peerRounds } from "./peer.ts";

/** Side of the images and batch. */
const sizes = { resnet50: [96, 16], small: [64, 128] } as const;
const CLASSES = "10";

const peers = {
  Keras: { name: "Keras 3.15.1 on TensorFlow 2.21.0, compiled, oneDNN", target: 1.25 },
  PyTorch: { name: "PyTorch 2.15.0, channels-last", target: 0.75 },
};

/** Both sides of a train step, each a process of its own. */
const trainers = (network: keyof typeof sizes, peer: keyof typeof peers) => {
  const size = sizes[network].map(String);
  return Effect.all({
    ours: ownRounds("networks_own.ts", ["train", network, ...size, CLASSES]),
    peer: peer === "Keras"
      ? peerRounds("train_keras.py", [...size, CLASSES])
      : peerRounds("train_torch.py", [network, ...size, CLASSES]),
  });
};

/** Forward, backward and Adam with the trainer's own step, and the same in the peer. */
export const training = (network: keyof typeof sizes, peer: keyof typeof peers): Benchmark => {
  const [side, batch] = sizes[network];
  return {
    name: `train step, ${network}, ${side}×${side}, batch ${batch}, against ${peer}`,
    peerName: peers[peer].name,
    target: peers[peer].target,
    rounds: 15,
    prepare: () =>
      Effect.map(trainers(network, peer), ({ ours, peer }) => ({ ours: ours.round, peer: peer.round })),
  };
};

export const trainingMemory: Benchmark = {
  name: "train step, resnet50, 96×96, batch 16: peak memory",
  peerName: peers.Keras.name,
  unit: "MiB",
  target: 1 / 1.2,
  rounds: 3,
  prepare: () =>
    Effect.map(trainers("resnet50", "Keras"), ({ ours, peer }) => ({
      ours: Effect.andThen(ours.round, ours.peakMemory),
      peer: Effect.andThen(peer.round, peer.peakMemory),
    })),
};

export const embedding: Benchmark = {
  name: "embedding, resnet50, 224×224, batch 32",
  peerName: peers.PyTorch.name,
  target: 0.8,
  rounds: 7,
  prepare: () =>
    Effect.gen(function* () {
      const ours = yield* ownRounds("networks_own.ts", ["embed", "resnet50", "224", "32", CLASSES]);
      const peer = yield* peerRounds("embed_torch.py", ["224", "32"]);
      return { ours: ours.round, peer: peer.round };
    }),
};
