import { Cause, Effect } from "effect";
import { existsSync } from "node:fs";
import { z } from "zod";
import type { Benchmark } from "./benchmark.ts";

const Measured = z.object({
  name: z.string(),
  unit: z.string(),
  /** Medians over the rounds. */
  ours: z.number(),
  peer: z.number(),
  peerName: z.string(),
  /** How many times better than the peer. */
  ratio: z.number(),
  target: z.number(),
  /** Whether the target is reached, with a result as good as the peer's. */
  passed: z.boolean(),
  remark: z.string(),
});
const Failed = z.object({ name: z.string(), failure: z.string() });
const Results = z.array(z.union([Measured, Failed]));
export type Result = z.infer<typeof Results>[number];

export const hasPassed = (result: Result): boolean => "passed" in result && result.passed;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const measure = ({ name, peerName, unit = "s", target, rounds, prepare }: Benchmark) =>
  Effect.scoped(Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-bench-" })),
      (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
    );
    console.log(name);
    const { ours, peer, verdict } = yield* prepare(folder);
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
    const { asGood, remark } = verdict ? yield* verdict : { asGood: true, remark: "" };
    if (remark) console.log(`  ${remark}`);
    const ratio = theirs / mine;
    const passed = asGood && ratio >= target;
    return { name, unit, ours: mine, peer: theirs, peerName, ratio, target, passed, remark };
  }));

/** The failure of one benchmark is a result like others; being interrupted is not. */
const resultOf = (benchmark: Benchmark): Effect.Effect<Result> =>
  measure(benchmark).pipe(
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt;
      const error = Cause.squash(cause);
      const failure = error instanceof Error ? error.message : String(error);
      console.log(`  failed: ${failure}`);
      return Effect.succeed({ name: benchmark.name, failure });
    }),
  );

const earlier = (file: string): readonly Result[] =>
  existsSync(file) ? Results.safeParse(JSON.parse(Deno.readTextFileSync(file))).data ?? [] : [];

/**
 * Measures one benchmark after the other and gives their results. After each, `file` has it beside what earlier calls left
 * there of the other benchmarks in `all`, in their order.
 */
export const runBenchmarks = (
  wanted: readonly Benchmark[],
  all: readonly Benchmark[],
  file: string,
): Effect.Effect<readonly Result[]> =>
  Effect.forEach(wanted, (benchmark) =>
    Effect.tap(resultOf(benchmark), (result) =>
      Effect.sync(() => {
        const known = new Map([...earlier(file), result].map((one) => [one.name, one]));
        const kept = all.flatMap(({ name }) => known.get(name) ?? []);
        Deno.writeTextFileSync(file, JSON.stringify(kept, null, 2) + "\n");
      })));
