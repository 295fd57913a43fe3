import { Effect } from "effect";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import { importing } from "./importing.ts";
import { embedding, training, trainingMemory } from "./networks.ts";
import { startPeer } from "./peer.ts";
import { pipeline } from "./pipeline.ts";
import { writeBlobs } from "./rows.ts";
import { eventOverheads, spreading } from "./spreading.ts";
import { startWorker } from "./workers.ts";
import { largeXMeans, largeXMeansMemory } from "./xmeans_large.ts";

const xmeans = (name: string, apart: number): Benchmark => ({
  name,
  peerName: "pyclustering 0.10.1.2, C++ core",
  target: 5,
  rounds: 7,
  prepare: (folder) =>
    Effect.gen(function* () {
      const [dimension, limit] = [256, 5];
      const file = join(folder, "rows.bin");
      writeBlobs(file, 4_000, dimension, apart);
      const ask = yield* startWorker<number>("./xmeans_worker.ts");
      yield* ask({ file, dimension, limit }); // loads and compiles the kernels
      return {
        ours: ask({ file, dimension, limit }),
        peer: yield* startPeer("xmeans.py", [file, String(dimension), String(limit)]),
      };
    }),
});

export const benchmarks: readonly Benchmark[] = [
  training("resnet50", "Keras"),
  training("resnet50", "PyTorch"),
  training("small", "PyTorch"),
  embedding,
  trainingMemory,
  xmeans("X-Means, 4,000 × 256, limit 5, far clusters", 12),
  xmeans("X-Means, 4,000 × 256, limit 5, near clusters", 5),
  largeXMeans,
  largeXMeansMemory,
  importing("grey"),
  importing("RGB"),
  pipeline,
  spreading,
  ...eventOverheads,
];
