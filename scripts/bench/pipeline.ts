import { Effect } from "effect";
import type { Benchmark } from "./benchmark.ts";
import type { Waiting } from "./pipeline_worker.ts";
import { startWorker } from "./workers.ts";

/** How long a train step waits for its batch: below 2 % of the step. */
export const pipeline: Benchmark = {
  name: "input pipeline idle, small, 64×64, batch 128, turned and mirrored",
  peerName: "the train step",
  target: 50,
  rounds: 5,
  prepare: () =>
    Effect.gen(function* () {
      const ask = yield* startWorker<Waiting>("./pipeline_worker.ts");
      let latest: Waiting | undefined;
      return {
        ours: Effect.map(ask(null), (answer) => (latest = answer).waiting),
        peer: Effect.sync(() => latest!.step),
      };
    }),
};
