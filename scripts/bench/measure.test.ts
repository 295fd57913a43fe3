import { Effect, Fiber } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import type { Benchmark, Verdict } from "./benchmark.ts";
import { hasPassed, runBenchmarks } from "./measure.ts";
import { BenchError } from "./peer.ts";

const benchmark = (
  name: string,
  figures: readonly number[],
  { target = 2, verdict }: { readonly target?: number; readonly verdict?: Verdict } = {},
): Benchmark => ({
  ...{ name, peerName: "the peer", target, rounds: figures.length },
  prepare: () =>
    Effect.sync(() => {
      let round = 0;
      return {
        ours: Effect.sync(() => figures[round++]!),
        peer: Effect.succeed(10),
        ...(verdict ? { verdict: Effect.succeed(verdict) } : {}),
      };
    }),
});
const failing: Benchmark = {
  ...benchmark("fails", [1]),
  prepare: () => new BenchError({ message: "no peer" }),
};
const dying: Benchmark = { ...benchmark("dies", [1]), prepare: () => Effect.die(new Error("a bug")) };

const withFile = async (use: (file: string) => Promise<void>) => {
  const folder = await Deno.makeTempDir();
  try {
    await use(join(folder, "results.json"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};
const stored = (file: string): { name: string; ratio?: number; failure?: string }[] =>
  JSON.parse(Deno.readTextFileSync(file));

Deno.test("a benchmark that fails or dies keeps none from being measured and stored", () =>
  withFile(async (file) => {
    const all = [failing, benchmark("fast", [4, 9, 2]), dying, benchmark("slow", [9])];
    const results = await Effect.runPromise(runBenchmarks(all, all, file));
    expect(results).toEqual([
      { name: "fails", failure: "no peer" },
      {
        ...{ name: "fast", peerName: "the peer", unit: "s", ours: 4, peer: 10, ratio: 2.5, target: 2 },
        ...{ passed: true, remark: "" },
      },
      { name: "dies", failure: "a bug" },
      expect.objectContaining({ name: "slow", passed: false }),
    ]);
    expect(results.map(hasPassed)).toEqual([false, true, false, false]);
    expect(stored(file)).toEqual(results);
  }));

Deno.test("a faster side whose result is worse has not passed", () =>
  withFile(async (file) => {
    const worse = benchmark("worse", [1], { verdict: { asGood: false, remark: "k 1, peer 5" } });
    const [result] = await Effect.runPromise(runBenchmarks([worse], [worse], file));
    expect(result).toMatchObject({ ratio: 10, passed: false, remark: "k 1, peer 5" });
  }));

Deno.test("a run of some benchmarks keeps the others' results, and none of what is no benchmark any more", () =>
  withFile(async (file) => {
    const [one, two, gone] = ["one", "two", "gone"].map((name) => benchmark(name, [1]));
    await Effect.runPromise(runBenchmarks([two!, gone!], [two!, gone!], file));
    await Effect.runPromise(runBenchmarks([one!], [one!, two!], file));
    expect(stored(file).map(({ name }) => name)).toEqual(["one", "two"]);
    const better = { ...benchmark("one", [0.5]) };
    await Effect.runPromise(runBenchmarks([better], [better, two!], file));
    expect(stored(file).map(({ ratio }) => ratio)).toEqual([20, 10]);
    Deno.writeTextFileSync(file, `[{"name": "of an earlier version"}]`);
    await Effect.runPromise(runBenchmarks([two!], [one!, two!], file));
    expect(stored(file).map(({ name }) => name)).toEqual(["two"]);
  }));

Deno.test("interrupted, it ends, with what has been measured stored", () =>
  withFile(async (file) => {
    const begun = Promise.withResolvers<void>();
    const endless: Benchmark = {
      ...benchmark("endless", [1]),
      prepare: () => Effect.andThen(Effect.sync(() => begun.resolve()), Effect.never),
    };
    const all = [benchmark("one", [1]), endless, benchmark("two", [1])];
    const fiber = Effect.runFork(runBenchmarks(all, all, file));
    await begun.promise;
    await Effect.runPromise(Fiber.interrupt(fiber));
    expect(stored(file).map(({ name }) => name)).toEqual(["one"]);
  }));
