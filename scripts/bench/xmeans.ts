import { Effect, type Scope } from "effect";
import { join } from "node:path";
import type { Benchmark, Pair, Verdict } from "./benchmark.ts";
import { BenchError, startPeer } from "./peer.ts";
import { readRows, writeBlobs } from "./rows.ts";
import { effectiveDimension, score } from "./score.ts";
import { startWorker } from "./workers.ts";
import { writeInput } from "./xmeans_files.ts";
import type { Divided, Round } from "./xmeans_worker.ts";

const [dimension, limit] = [256, 5] as const;

interface Setting {
  readonly rows: number;
  /** Between the planted clusters, of which each has a spread of 1. */
  readonly apart: number;
  readonly peer: string;
  /** M in the criterion by which both sides choose and are scored. */
  readonly criterion: Round["criterion"];
}

/** Equal divisions may differ by what is lost in summing up. */
const ROUNDING = 1e-9;

const verdictOn = (
  file: string,
  { criterion }: Setting,
  rounds: { readonly ours: readonly Int32Array[]; readonly peer: readonly Int32Array[] },
): Verdict => {
  const rows = { values: readRows(file), dimension };
  const m = criterion === "nominal" ? dimension : effectiveDimension(rows);
  const scored = (sides: readonly Int32Array[]) => sides.map((labels) => score(rows, labels, m));
  const [ours, peer] = [scored(rounds.ours), scored(rounds.peer)];
  const worst = ours.reduce((a, b) => a.bic < b.bic ? a : b);
  const best = peer.reduce((a, b) => a.bic > b.bic ? a : b);
  const said = ({ clusters, bic }: typeof worst) => `k ${clusters}, BIC ${bic.toFixed(0)}`;
  return {
    asGood: worst.bic >= best.bic - ROUNDING * Math.abs(best.bic),
    remark: `${criterion} dimension: ${said(worst)} in ours' worst round, ${said(best)} in the peer's best`,
  };
};

/** Only dividing is timed: rows are in memory on both sides, labels are fetched after the clock has stopped. */
const prepare = (setting: Setting) => (folder: string): Effect.Effect<Pair, BenchError, Scope.Scope> =>
  Effect.gen(function* () {
    const [file, labelsFile] = [join(folder, "rows.bin"), join(folder, "labels.bin")];
    writeBlobs(file, setting.rows, dimension, setting.apart);
    const ask = yield* startWorker<Divided>("./xmeans_worker.ts");
    const round = ask({ file, dimension, limit, criterion: setting.criterion } satisfies Round);
    yield* round; // reads the rows, compiles the kernels
    const peer = yield* startPeer(setting.peer, [file, String(dimension), String(limit), labelsFile]);
    const rounds: Record<"ours" | "peer", Int32Array[]> = { ours: [], peer: [] };
    return {
      ours: Effect.map(round, ({ seconds, labels }) => {
        rounds.ours.push(labels);
        return seconds;
      }),
      peer: Effect.tap(
        peer,
        () => Effect.sync(() => rounds.peer.push(new Int32Array(Deno.readFileSync(labelsFile).buffer))),
      ),
      verdict: Effect.sync(() => verdictOn(file, setting, rounds)),
    };
  });

/** Near clusters are no race: the peer ends with a single one, also after 50 repetitions, which take it four seconds. */
const small = (kind: "far" | "near", apart: number, target: number): Benchmark => ({
  name: `X-Means, 4,000 × 256, limit 5, ${kind} clusters`,
  peerName: "pyclustering 0.10.1.2, C++ core",
  target,
  rounds: 7,
  prepare: prepare({ rows: 4_000, apart, peer: "xmeans.py", criterion: "nominal" }),
});

const large: Benchmark = {
  name: "X-Means, 200,000 × 256, limit 5",
  peerName: "scikit-learn 1.9.1, MiniBatchKMeans and BIC for k = 1 … 5",
  target: 1,
  rounds: 3,
  prepare: prepare({ rows: 200_000, apart: 12, peer: "xmeans_minibatch.py", criterion: "effective" }),
};

/** A process of its own, whose peak is that of one round. */
const peakMemory = (folder: string, bytes: number) =>
  Effect.tryPromise({
    try: async () => {
      const script = new URL("./xmeans_memory.ts", import.meta.url).pathname;
      const args = ["run", "--allow-all", script, folder, String(bytes)];
      const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" })
        .output();
      if (!success) throw new Error("it failed");
      return Number(new TextDecoder().decode(stdout));
    },
    catch: (cause) => new BenchError({ message: `peak memory of X-Means: ${cause}` }),
  });

/** The clusterer's whole step, from the features' file on. */
const memory: Benchmark = {
  name: "X-Means, 200,000 × 256, limit 5: peak memory of the clusterer's step",
  peerName: "the features' own size",
  unit: "times",
  target: 1 / 1.5,
  rounds: 2,
  prepare: (folder) =>
    Effect.sync(() => {
      const file = join(folder, "rows.bin");
      for (const [name, rows] of [["few", 1_000], ["many", 200_000]] as const) {
        writeBlobs(file, rows, dimension, 12);
        writeInput(join(folder, name), file, dimension);
      }
      const bytes = 200_000 * dimension * Float32Array.BYTES_PER_ELEMENT;
      return { ours: peakMemory(folder, bytes), peer: Effect.succeed(1) };
    }),
};

export const xmeans: readonly Benchmark[] = [small("far", 12, 5), small("near", 5, 1), large, memory];
