import { importFolder } from "@subtaxa/dataset";
import { random } from "@subtaxa/random";
import { Effect, type Scope } from "effect";
import { join } from "node:path";
import { BenchError, runScript, startPeer } from "./peer.ts";

/** Two ways to do the same work; each call is one round and gives its seconds. */
export interface Pair {
  readonly ours: Effect.Effect<number, BenchError>;
  readonly peer: Effect.Effect<number, BenchError>;
}

export interface Benchmark {
  readonly name: string;
  readonly peerName: string;
  /** The ratio to reach: how many times faster than the peer. */
  readonly target: number;
  readonly rounds: number;
  readonly prepare: (folder: string) => Effect.Effect<Pair, BenchError, Scope.Scope>;
}

/** Five Gaussian blobs of unit variance, `apart` from one another on average; a file of float32 rows. */
const blobs = (rows: number, dimension: number, apart: number): Float32Array => {
  const draw = random(1, rows, dimension);
  const spread = apart / Math.sqrt(2 * dimension);
  const centres = Array.from({ length: 5 * dimension }, () => draw.normal() * spread);
  return Float32Array.from({ length: rows * dimension }, (_, i) => {
    const row = Math.floor(i / dimension);
    return centres[(row % 5) * dimension + i % dimension]! + draw.normal();
  });
};

const timed = (work: () => unknown): Effect.Effect<number> =>
  Effect.promise(async () => {
    const started = performance.now();
    await work();
    return (performance.now() - started) / 1000;
  });

/** X-Means as the clusterer runs it: a process of its own, since services are not imported from here. */
const clusterer = (file: string, dimension: number, limit: number) =>
  Effect.gen(function* () {
    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => new Worker(new URL("./xmeans_worker.ts", import.meta.url), { type: "module" })),
      (worker) => Effect.sync(() => worker.terminate()),
    );
    const answer = (message: unknown) =>
      new Promise<number>((resolve, reject) => {
        worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
        worker.postMessage(message);
      });
    const round = Effect.tryPromise({
      try: () => answer({ file, dimension, limit }),
      catch: (cause) => new BenchError({ message: `X-Means: ${cause}` }),
    });
    yield* round; // loads and compiles the kernels
    return round;
  });

const xmeans = (name: string, apart: number): Benchmark => ({
  name,
  peerName: "pyclustering 0.10.1.2, C++ core",
  target: 5,
  rounds: 7,
  prepare: (folder) =>
    Effect.gen(function* () {
      const [dimension, limit] = [256, 5];
      const file = join(folder, "rows.bin");
      yield* Effect.promise(() =>
        Deno.writeFile(file, new Uint8Array(blobs(4_000, dimension, apart).buffer))
      );
      return {
        ours: yield* clusterer(file, dimension, limit),
        peer: yield* startPeer("xmeans.py", [file, String(dimension), String(limit)]),
      };
    }),
});

const importing: Benchmark = {
  name: "import, 2,000 grey JPEG 300×200",
  peerName: "Pillow 13.0.0, 2 processes",
  target: 2,
  rounds: 3,
  prepare: (folder) =>
    Effect.gen(function* () {
      const path = join(folder, "images");
      yield* runScript("images.py", [path, "2000", "300", "200"]);
      const work = async () => {
        const outputFolder = await Deno.makeTempDir({ dir: folder });
        const options = { name: "bench", path, maxSide: 256, minClassImages: 5, outputFolder };
        await Effect.runPromise(importFolder(options));
        await Deno.remove(outputFolder, { recursive: true });
      };
      return { ours: timed(work), peer: yield* startPeer("import.py", [path, "256"]) };
    }),
};

export const benchmarks: readonly Benchmark[] = [
  xmeans("X-Means, 4,000 × 256, limit 5, far clusters", 12),
  xmeans("X-Means, 4,000 × 256, limit 5, near clusters", 5),
  importing,
];
