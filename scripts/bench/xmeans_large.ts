import { Effect } from "effect";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import { BenchError, startPeer } from "./peer.ts";
import { writeBlobs } from "./rows.ts";
import { startWorker } from "./workers.ts";

const [rows, dimension, limit] = [200_000, 256, 5] as const;

const prepared = (folder: string) =>
  Effect.sync(() => {
    const file = join(folder, "rows.bin");
    writeBlobs(file, rows, dimension, 12);
    return file;
  });

export const largeXMeans: Benchmark = {
  name: "X-Means, 200,000 × 256, limit 5",
  peerName: "scikit-learn 1.9.1, MiniBatchKMeans and BIC for k = 1 … 5",
  target: 1,
  rounds: 3,
  prepare: (folder) =>
    Effect.gen(function* () {
      const file = yield* prepared(folder);
      const ask = yield* startWorker<number>("./xmeans_worker.ts");
      return {
        ours: ask({ file, dimension, limit }),
        peer: yield* startPeer("xmeans_minibatch.py", [file, String(dimension), String(limit)]),
      };
    }),
};

/** A process of its own, whose peak is that of one round. */
const peakMemory = (file: string) =>
  Effect.tryPromise({
    try: async () => {
      const script = new URL("./xmeans_memory.ts", import.meta.url).pathname;
      const args = ["run", "--allow-all", script, file, String(dimension), String(limit)];
      const { success, stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
      if (!success) throw new Error("it failed");
      return Number(new TextDecoder().decode(stdout));
    },
    catch: (cause) => new BenchError({ message: `peak memory of X-Means: ${cause}` }),
  });

export const largeXMeansMemory: Benchmark = {
  name: "X-Means, 200,000 × 256, limit 5: peak memory",
  peerName: "the features' own size",
  unit: "times",
  target: 1 / 1.5,
  rounds: 2,
  prepare: (folder) =>
    Effect.map(prepared(folder), (file) => ({ ours: peakMemory(file), peer: Effect.succeed(1) })),
};
