import { Effect } from "effect";
import type { Benchmark } from "./benchmark.ts";
import type { EpochSeconds, Kind } from "./epoch_worker.ts";
import { onGpu } from "./machine.ts";
import { startPeer } from "./peer.ts";
import { startWorker } from "./workers.ts";

/** Whole epochs as the trainer does them; the first one, which loads and compiles everything, is not counted. */
const epochsOf = (kind: Kind) =>
  Effect.gen(function* () {
    const ask = yield* startWorker<EpochSeconds>("./epoch_worker.ts");
    yield* ask(kind);
    return ask(kind);
  });

/** How long train steps wait for their batches, labels included: below 2 % of the steps. */
const waiting: Benchmark = {
  name: "input pipeline idle, small, 64×64 turned and mirrored, batch 128",
  peerName: "the epoch's steps, waiting included",
  target: 50,
  rounds: 5,
  prepare: () =>
    Effect.gen(function* () {
      const epoch = yield* epochsOf("images");
      let latest: EpochSeconds | undefined;
      return {
        ours: Effect.map(epoch, (seconds) => (latest = seconds).waiting),
        peer: Effect.sync(() => latest!.steps),
      };
    }),
};

const frozen: Benchmark = {
  name: "epoch with a frozen backbone, 5,000 × 1280 features, 14 classes, batch 128",
  peerName: `PyTorch 2.15.0, two linear layers and Adam${onGpu ? ", CUDA" : ""}`,
  target: 0.4,
  rounds: 7,
  prepare: () =>
    Effect.gen(function* () {
      const epoch = yield* epochsOf("features");
      const peer = yield* startPeer("frozen_torch.py", ["5000", "1280", "14", "128"]);
      return { ours: Effect.map(epoch, (seconds) => seconds.epoch), peer };
    }),
};

export const epochs: readonly Benchmark[] = [
  waiting,
  frozen,
];
