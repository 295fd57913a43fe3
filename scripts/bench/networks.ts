import { Effect } from "effect";
import type { Benchmark } from "./benchmark.ts";
import { onGpu } from "./machine.ts";
import { ownRounds, peerRounds } from "./peer.ts";

const CLASSES = "10";

const peers = {
  Keras: { name: "Keras 3.15.1 on TensorFlow 2.21.0, compiled, oneDNN", target: 1.25 },
  PyTorch: { name: `PyTorch 2.15.0, channels-last${onGpu ? ", CUDA" : ""}`, target: 0.75 },
};

interface Step {
  readonly network: "resnet50" | "small";
  readonly side: number;
  readonly batch: number;
}
const resnet50: Step = { network: "resnet50", side: 96, batch: 16 };
const small: Step = { network: "small", side: 64, batch: 128 };
const large: Step = { network: "resnet50", side: 256, batch: 128 };

/** Both sides of a train step, each a process of its own. */
const trainers = ({ network, side, batch }: Step, peer: keyof typeof peers) => {
  const size = [side, batch].map(String);
  return Effect.all({
    ours: ownRounds("networks_own.ts", ["train", network, ...size, CLASSES]),
    peer: peer === "Keras"
      ? peerRounds("train_keras.py", [...size, CLASSES])
      : peerRounds("train_torch.py", [network, ...size, CLASSES]),
  });
};

/** Forward, backward and Adam with the trainer's own step, and the same in the peer. */
const training = (step: Step, peer: keyof typeof peers): Benchmark => ({
  name: `train step, ${step.network}, ${step.side}×${step.side}, batch ${step.batch}, against ${peer}`,
  peerName: peers[peer].name,
  target: peers[peer].target,
  rounds: 15,
  prepare: () =>
    Effect.map(trainers(step, peer), ({ ours, peer }) => ({ ours: ours.round, peer: peer.round })),
});

const trainingMemory: Benchmark = {
  name: "train step, resnet50, 96×96, batch 16: peak memory",
  peerName: peers.Keras.name,
  unit: "MiB",
  target: 1 / 1.2,
  rounds: 3,
  prepare: () =>
    Effect.map(trainers(resnet50, "Keras"), ({ ours, peer }) => ({
      ours: Effect.andThen(ours.round, ours.peakMemory),
      peer: Effect.andThen(peer.round, peer.peakMemory),
    })),
};

const embedding: Benchmark = {
  name: "embedding, resnet50, 224×224, batch 32",
  peerName: `${peers.PyTorch.name}, batch normalisation folded where that is faster`,
  target: 0.8,
  rounds: 7,
  prepare: () =>
    Effect.gen(function* () {
      const ours = yield* ownRounds("networks_own.ts", ["embed", "resnet50", "224", "32", CLASSES]);
      const peer = yield* peerRounds("embed_torch.py", ["224", "32"]);
      return { ours: ours.round, peer: peer.round };
    }),
};

/** On a GPU there is no row against Keras: the TensorFlow that is pinned for it has no CUDA. */
export const networks: readonly Benchmark[] = [
  ...(onGpu ? [] : [training(resnet50, "Keras")]),
  training(resnet50, "PyTorch"),
  training(small, "PyTorch"),
  ...(onGpu ? [training(large, "PyTorch")] : []),
  embedding,
  ...(onGpu ? [] : [trainingMemory]),
];
