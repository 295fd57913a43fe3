import { Bus, type Fact } from "@subtaxa/bus";
import { type Event, isFoldEvent, RunMetricsView, RunProgress, RunView, subjects } from "@subtaxa/contracts";
import { confusionOf, metricsOf } from "@subtaxa/metrics";
import { projectAll } from "@subtaxa/runs";
import { Effect, Stream } from "effect";
import { expect } from "expect";
import { ended, json, keptBlobs, startRun, startWithOrganisms } from "./support.ts";

/** The chain of one epoch of a clustering method, after which the next epoch follows. */
const chain = [
  "epoch.trained",
  "epoch.validated",
  "adaptation.planned",
  "features.extracted",
  "dataset.relabelled",
];

/** The rows of a CSV file without quoted fields. */
const rowsOf = (csv: string) => csv.trim().split("\n").slice(1).map((line) => line.split(","));

const epochs = 4;

const scenario = (folder: string) =>
  Effect.gen(function* () {
    const { stack, url, dataset, bus } = yield* startWithOrganisms(folder, {
      imagesPerClass: 40,
      env: { SUBTAXA_ACK_WAIT: "3 seconds" },
    });
    const total = dataset.classes.reduce((sum, { images }) => sum + images, 0);

    return yield* Effect.gen(function* () {
      const bus = yield* Bus;
      const request = {
        dataset: "organisms",
        imageSize: 32,
        epochs,
        batchSize: 16,
        confusionThreshold: 0.05,
        minClusterSize: 4,
        seed: 1,
      };
      const id = yield* startRun(url, request);

      // in the middle of the second epoch, the trainer is killed as a power cut would
      const trainer = () => stack.processes().find(({ service }) => service === "trainer")!;
      const victim = trainer().pid;
      yield* bus.listen(`progress.run.${id}`, RunProgress).pipe(
        Stream.filter(({ step, epoch, done }) => step === "train" && epoch === 2 && done >= 2),
        Stream.take(1),
        Stream.runDrain,
      );
      Deno.kill(victim, "SIGKILL");

      const run = yield* ended(url, id);
      expect(run).toMatchObject({ state: "completed", epoch: epochs });
      expect(trainer().pid).not.toBe(victim);

      const facts = yield* bus.history(subjects.run(id));
      const results = yield* Effect.promise(async () => ({
        metrics: RunMetricsView.parse(await json(`${url}/runs/${id}/metrics`)),
        predictions: rowsOf(await (await fetch(`${url}/runs/${id}/predictions.csv`)).text()),
        labels: rowsOf(await (await fetch(`${url}/runs/${id}/labels.csv`)).text()),
        report: await (await fetch(`${url}/runs/${id}/report`)).text(),
      }));
      return { run, facts, total, kept: yield* keptBlobs(id, 1), ...results };
    }).pipe(Effect.provide(bus));
  });

const ofType = <T extends Event["type"]>(facts: readonly Fact[], type: T) =>
  facts.flatMap(({ event }) => event.type === type ? [event as Extract<Event, { type: T }>] : []);

Deno.test("the whole loop over HTTP, with the trainer killed in the middle of an epoch", async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-loop-" });
  try {
    const { run, facts, kept, total, metrics, predictions, labels, report } = await Effect.runPromise(
      Effect.scoped(scenario(folder)),
    );

    // the log shows the chain in order, each epoch once, although one was begun twice
    const order = facts.map(({ event }) => isFoldEvent(event) ? `${event.type} ${event.epoch}` : event.type);
    const expected = Array.from(
      { length: epochs },
      (_, i) => (i + 1 < epochs ? chain : chain.slice(0, 2)).map((type) => `${type} ${i + 1}`),
    );
    expect(order).toEqual([
      "run.requested 0",
      ...expected.flat(),
      `fold.completed ${epochs}`,
      "run.completed",
    ]);

    // of the models, the best one is left
    expect(kept).toEqual([ofType(facts, "fold.completed")[0]!.state.best!.checkpoint.key]);

    // replaying the log explains what the API shows
    expect(RunView.parse(projectAll(facts.map(({ event }) => event)))).toEqual(run);
    for (const { confusion, metrics, falseNegatives } of ofType(facts, "epoch.validated")) {
      expect(metricsOf(confusion)).toEqual(metrics);
      confusion.forEach((row, i) => {
        const images = row.reduce((sum, count) => sum + count, 0);
        expect(falseNegatives[i]).toBeCloseTo(1 - row[i]! / images, 12);
      });
    }

    // Algorithm 1, recomputed from the validated false negatives; every class begins whole
    const planned = ofType(facts, "adaptation.planned");
    const allowed = run.classes.map(() => 1);
    for (const { epoch, falseNegatives, spec } of ofType(facts, "epoch.validated").slice(0, -1)) {
      // flags stay 0 here: three adaptations can't reach the limit of five
      falseNegatives.forEach((rate, i) => allowed[i]! += rate > spec.confusionThreshold ? 1 : 0);
      const after = planned.find((event) => event.epoch === epoch)!;
      expect(after.state.classes.map(({ allowedClusters }) => allowedClusters)).toEqual(allowed);
      expect(after.classes).toEqual(spec.classes.filter((_, i) => allowed[i]! > 1));
    }

    // pseudo-labels: never more sub-classes than allowed, every training image has one
    const relabelled = ofType(facts, "dataset.relabelled");
    expect(relabelled.some(({ state }) => state.classes.some(({ clusters }) => clusters > 1))).toBe(true);
    for (const { state, epoch } of relabelled) {
      const rows = labels.filter((row) => Number(row[2]) === epoch + 1);
      for (const { name, clusters, allowedClusters } of state.classes) {
        expect(clusters).toBeLessThanOrEqual(allowedClusters);
        expect(new Set(rows.filter((row) => row[3] === name).map((row) => row[4])).size).toBe(clusters);
      }
    }

    // held-out scores can be recomputed from predictions.csv
    const names = run.classes.map(({ name }) => name);
    const index = (name: string | undefined) => names.indexOf(name!);
    const confusion = confusionOf(
      predictions.map((row) => index(row[2])),
      predictions.map((row) => index(row[3])),
      names.length,
    );
    expect(metrics.folds[0]!.confusion).toEqual(confusion);
    expect(metrics.metrics).toEqual(metricsOf(confusion));
    expect(predictions.length).toBe(Math.round(total * 0.2));
    for (const row of predictions) {
      expect(row.slice(4).reduce((sum, value) => sum + Number(value), 0)).toBeCloseTo(1, 4);
    }
    const held = new Set(predictions.map((row) => row[0]));
    expect(labels.some((row) => held.has(row[0]))).toBe(false);

    expect(report).toMatch(/^<!doctype html>/i);
    expect(report).not.toMatch(/(src|href)="https?:/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
