import { Bus } from "@subtaxa/bus";
import { subjects } from "@subtaxa/contracts";
import { Effect } from "effect";
import { expect } from "expect";
import { servicesOf } from "../scripts/stack/mod.ts";
import { ended, startRun, startWithOrganisms } from "./support.ts";

const scenario = (folder: string) =>
  Effect.gen(function* () {
    const services = servicesOf({ trainer: 2 });
    const { url, bus } = yield* startWithOrganisms(folder, { imagesPerClass: 40, services });
    return yield* Effect.gen(function* () {
      const request = {
        dataset: "organisms",
        ...{ method: "standard", imageSize: 32, batchSize: 16, folds: 2, epochs: 6, patience: 6 },
      };
      const id = yield* startRun(url, request);
      const run = yield* ended(url, id);
      const facts = yield* (yield* Bus).history(subjects.run(id));
      return { run, events: facts.map(({ event }) => event) };
    }).pipe(Effect.provide(bus));
  });

Deno.test("two trainers train the folds of one run side by side", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-trainers-" });
  try {
    const { run, events } = await Effect.runPromise(Effect.scoped(scenario(folder)));
    expect([run.state, run.error, run.epochsDone]).toEqual(["completed", undefined, 12]);
    // when each epoch was trained, by the log; one trainer has never two at a time
    const trained = events.flatMap((event) => {
      if (event.type !== "epoch.trained") return [];
      const end = Date.parse(event.at);
      return [{ fold: event.fold, begin: end - 1000 * event.training.seconds, end }];
    });
    const [first, second] = [0, 1].map((fold) => trained.filter((epoch) => epoch.fold === fold));
    const together = first!.flatMap((a) => second!.filter((b) => a.begin < b.end && b.begin < a.end));
    expect(together.length).toBeGreaterThan(0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
