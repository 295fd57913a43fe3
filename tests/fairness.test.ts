import { Bus } from "@subtaxa/bus";
import { subjects } from "@subtaxa/contracts";
import { Effect, Stream } from "effect";
import { expect } from "expect";
import { ended, startRun, startWithOrganisms } from "./support.ts";

const folds = 3;
const epochs = { big: 8, small: 3 };

/** A run of several folds, and another one that comes when that is well under way: both runs' facts, in order. */
const scenario = (folder: string) =>
  Effect.gen(function* () {
    const { url, bus } = yield* startWithOrganisms(folder, { imagesPerClass: 20 });
    return yield* Effect.gen(function* () {
      const bus = yield* Bus;
      const common = { dataset: "organisms", imageSize: 32, batchSize: 16, method: "clustering" };
      const big = yield* startRun(url, { ...common, folds, epochs: epochs.big, patience: epochs.big });
      yield* bus.facts({ filter: subjects.of("epoch.trained", "*", big) }).pipe(
        Stream.take(2 * folds),
        Stream.runDrain,
      );
      const small = yield* startRun(url, { ...common, epochs: epochs.small, patience: epochs.small });
      for (const id of [small, big]) {
        const run = yield* ended(url, id);
        expect([run.state, run.error]).toEqual(["completed", undefined]);
      }
      const all = yield* bus.history(subjects.all);
      return { big, small, events: all.map(({ event }) => event) };
    }).pipe(Effect.provide(bus));
  });

Deno.test("a run that comes while a big one goes on waits for one epoch of each of its folds, and not for its end", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-fairness-" });
  try {
    const { big, small, events } = await Effect.runPromise(Effect.scoped(scenario(folder)));
    const ofRun = (id: string) => events.filter((event) => "runId" in event && event.runId === id);
    // only one trainer: between two epochs of the newcomer, every fold of the other run has its turn once, or is
    // about to have it
    const turns = events.flatMap((event) =>
      event.type === "epoch.trained" || event.type === "run.requested" && event.runId === small
        ? [event.runId]
        : []
    );
    const mine = turns.flatMap((id, i) => id === small ? [i] : []);
    expect(mine).toHaveLength(1 + epochs.small);
    mine.slice(1).forEach((at, i) => expect(at - mine[i]! - 1).toBeLessThanOrEqual(folds + 1));
    // and the other run was not held up: it had its turns in between
    expect(mine.slice(2).some((at, i) => at - mine[i + 1]! > 1)).toBe(true);
    // the newcomer is done first
    const end = (id: string) => events.indexOf(ofRun(id).find(({ type }) => type === "run.completed")!);
    expect(end(small)).toBeLessThan(end(big));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
