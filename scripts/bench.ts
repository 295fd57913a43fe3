/**
 * Benchmarks, `deno task bench [name …]`: each one against a peer that does the same work, measured alternately in this
 * run. Prints a table and writes bench-results.json, where what was measured earlier stays; `ratio` is how many times better
 * than the peer. Fails when a target is missed, a result worse than the peer's, or a benchmark failed.
 */
import { Effect } from "effect";
import type { Benchmark } from "./bench/benchmark.ts";
import { benchmarks } from "./bench/benchmarks.ts";
import { divideMachine, onGpu, THREADS } from "./bench/machine.ts";
import { hasPassed, type Result, runBenchmarks } from "./bench/measure.ts";
import { execute, table } from "./cli/mod.ts";
import { ensureNative } from "./setup/mod.ts";
import { task } from "./task.ts";

const row = (result: Result): string[] => {
  if ("failure" in result) return [result.name, "failed", "", "", "", result.failure, ""];
  const { name, unit, ours, peer, ratio, target, peerName, remark } = result;
  return [
    ...[name, `${ours.toFixed(3)} ${unit}`, `${peer.toFixed(3)} ${unit}`, ratio.toFixed(2)],
    ...[`${target.toFixed(2)}${hasPassed(result) ? "" : " MISSED"}`, peerName, remark],
  ];
};

const main = (wanted: readonly Benchmark[]) =>
  Effect.gen(function* () {
    yield* ensureNative();
    console.log(`on ${onGpu ? "a GPU" : "the CPU"}, ${THREADS} threads`);
    const results = yield* runBenchmarks(wanted, benchmarks, "bench-results.json");
    const header = ["benchmark", "ours", "peer", "ratio", "target", "against", "result"];
    console.log(`\n${table(header, results.map(row))}`);
    return results.every(hasPassed) ? 0 : 1;
  });

if (import.meta.main) {
  const command = task("bench", "Measures Subtaxa against peers that do the same work, in the same run.")
    .argument("[name...]", "benchmarks whose names contain one of these (default: all)")
    .addHelpText("after", `\nBenchmarks:\n${benchmarks.map(({ name }) => `  ${name}`).join("\n")}`)
    .parse(Deno.args, { from: "user" });
  const parts = command.args.map((part) => part.toLowerCase());
  const wanted = benchmarks.filter(({ name }) =>
    parts.length === 0 || parts.some((part) => name.toLowerCase().includes(part))
  );
  if (wanted.length === 0) command.error("error: no benchmark has such a name");
  divideMachine();
  Deno.exit(await execute({ effect: main(wanted), interrupted: 130 }));
}
