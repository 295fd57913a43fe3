/**
 * Benchmarks, `deno task bench [name …]`: each one against a peer that does the same work, measured alternately in this
 * run. Prints a table and writes bench-results.json; `ratio` is how many times better than the peer.
 */
import { Effect } from "effect";
import type { Benchmark } from "./bench/benchmark.ts";
import { benchmarks } from "./bench/benchmarks.ts";
import { execute, table } from "./cli/mod.ts";
import { task } from "./task.ts";

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const measure = ({ name, peerName, unit = "s", target, rounds, prepare }: Benchmark) =>
  Effect.scoped(Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-bench-" })),
      (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
    );
    console.log(name);
    const { ours, peer } = yield* prepare(folder);
    const times = yield* Effect.forEach(
      Array.from({ length: rounds }, (_, round) => round + 1),
      (round) =>
        Effect.all([ours, peer]).pipe(
          Effect.tap(([a, b]) =>
            Effect.sync(() =>
              console.log(
                `  round ${round} of ${rounds}: ${a.toFixed(3)} ${unit}, peer ${b.toFixed(3)} ${unit}`,
              )
            )
          ),
        ),
    );
    const [mine, theirs] = [median(times.map(([a]) => a)), median(times.map(([, b]) => b))];
    return { name, unit, ours: mine, peer: theirs, peerName, ratio: theirs / mine, target };
  }));

const main = (wanted: readonly Benchmark[]) =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(wanted, measure);
    console.log(`\n${
      table(
        ["benchmark", "ours", "peer", "ratio", "target", "against"],
        results.map(({ name, unit, ours, peer, ratio, target, peerName }) => [
          ...[name, `${ours.toFixed(3)} ${unit}`, `${peer.toFixed(3)} ${unit}`],
          ...[ratio.toFixed(2), target.toFixed(2), peerName],
        ]),
      )
    }`);
    yield* Effect.promise(() =>
      Deno.writeTextFile("bench-results.json", JSON.stringify(results, null, 2) + "\n")
    );
    return 0;
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
  Deno.exit(await execute({ effect: main(wanted), interrupted: 130 }));
}
