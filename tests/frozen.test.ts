import { Bus } from "@subtaxa/bus";
import { type Event, isFoldEvent, subjects } from "@subtaxa/contracts";
import { encodePretrained } from "@subtaxa/model";
import { madeUpWeights } from "@subtaxa/model/testing";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import { ended, startRun, startWithOrganisms } from "./support.ts";

const folds = 2;

const scenario = (folder: string) =>
  Effect.gen(function* () {
    const weights = join(folder, "weights.safetensors");
    yield* Effect.promise(() => Deno.writeFile(weights, encodePretrained(madeUpWeights("small", "keras"))));
    const { url, bus } = yield* startWithOrganisms(folder, { imagesPerClass: 30 });
    return yield* Effect.gen(function* () {
      const bus = yield* Bus;
      const common = {
        dataset: "organisms",
        imageSize: 32,
        epochs: 2,
        batchSize: 16,
        weights,
        freeze: "backbone",
      };
      const logOf = (request: Record<string, unknown>) =>
        Effect.gen(function* () {
          const id = yield* startRun(url, { ...common, ...request });
          const run = yield* ended(url, id);
          const facts = yield* bus.history(subjects.run(id));
          return { run, events: facts.map(({ event }) => event) };
        });
      return {
        gsTrs: yield* logOf({ method: "gs-trs", folds, fixedClusters: 2 }),
        // nothing is ever missed too often, so every epoch of every fold has the same, empty table of features
        undivided: yield* logOf({ method: "clustering", folds, confusionThreshold: 1, epochs: 4 }),
        single: yield* logOf({ method: "standard", views: 1, sizeFeatures: true }),
        averaged: yield* logOf({
          method: "standard",
          views: 2,
          sizeFeatures: true,
          freeze: "none",
          epochs: 1,
        }),
        unfrozen: yield* logOf({ method: "gs-trs", fixedClusters: 2, freeze: "none", epochs: 1 }),
        triplet: yield* logOf({
          method: "triplet",
          mining: "semi-hard",
          schedule: "cosine",
          sampling: "grouped",
        }),
      };
    }).pipe(Effect.provide(bus));
  });

const chainOf = (events: readonly Event[], fold: number) =>
  events.filter(isFoldEvent).filter((event) => event.fold === fold).map(({ type, epoch }) =>
    `${epoch} ${type}`
  );

Deno.test("a frozen backbone is asked once for all folds and runs; GS-TRS begins with its clusters", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-frozen-" });
  try {
    const { gsTrs, undivided, single, averaged, unfrozen, triplet } = await Effect.runPromise(
      Effect.scoped(scenario(folder)),
    );
    for (const { run } of [gsTrs, undivided, single, averaged, unfrozen, triplet]) {
      expect(run.error).toBeUndefined();
    }
    for (let fold = 0; fold < folds; fold++) {
      expect(chainOf(gsTrs.events, fold)).toEqual([
        "0 run.requested",
        "0 backbone.extracted",
        ...["0 adaptation.planned", "0 features.extracted", "0 dataset.relabelled"],
        ...["1 epoch.trained", "1 epoch.validated"],
        ...["1 adaptation.planned", "1 features.extracted", "1 dataset.relabelled"],
        ...["2 epoch.trained", "2 epoch.validated", "2 fold.completed"],
      ]);
    }
    // the pretrained network is asked for features before its first epoch
    expect(chainOf(unfrozen.events, 0)).toEqual([
      ...["0 run.requested", "0 adaptation.planned", "0 features.extracted", "0 dataset.relabelled"],
      ...["1 epoch.trained", "1 epoch.validated", "1 fold.completed"],
    ]);
    expect(chainOf(triplet.events, 0)).toEqual([
      ...["0 run.requested", "0 backbone.extracted", "1 epoch.trained", "1 epoch.validated"],
      ...["2 epoch.trained", "2 epoch.validated", "2 fold.completed"],
    ]);

    const features = undivided.events.flatMap((event) =>
      event.type === "features.extracted" ? [event.features] : []
    );
    expect(features).toHaveLength(3 * folds);
    expect(new Set(features.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(new Set(features.map(({ key }) => key)).size).toBe(features.length);

    const frozen = [...gsTrs.events, ...triplet.events].flatMap((event) =>
      event.type === "backbone.extracted" ? [event.state.frozen!.key] : []
    );
    expect(frozen).toHaveLength(folds + 1);
    expect(new Set(frozen).size).toBe(1);
    // all eight views unless a run says otherwise; another number is another table
    expect([gsTrs, single, averaged, unfrozen].map(({ run }) => run.settings!.views)).toEqual([8, 1, 2, 1]);
    const alone = single.events.flatMap((event) =>
      event.type === "backbone.extracted" ? [event.state.frozen!] : []
    );
    expect(alone).toHaveLength(1);
    expect(frozen).not.toContain(alone[0]!.key);

    for (const event of [...gsTrs.events, ...unfrozen.events]) {
      if (event.type !== "epoch.trained") continue;
      expect(event.state.classes.every(({ clusters }) => clusters === 2)).toBe(true);
      expect(event.training.subclasses).toBe(2 * event.spec.classes.length);
      expect(event.training.triplet).toBeGreaterThan(0);
    }
    const chance = 1 / gsTrs.run.classes.length;
    expect(gsTrs.run.metrics!.accuracy).toBeGreaterThan(chance);
    expect(triplet.run.metrics!.accuracy).toBeGreaterThan(chance);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
