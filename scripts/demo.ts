/**
 * The demo, `deno task demo`: draws images in which some classes have several views and some pairs of classes look
 * alike, starts everything, trains with and without class splitting through the HTTP API, and shows what was found.
 */
import { type Metrics, RunMetricsView } from "@subtaxa/contracts";
import { Effect } from "effect";
import { join, resolve } from "node:path";
import {
  ask,
  dataFolder,
  execute,
  failedError,
  importFolder,
  request,
  saveReport,
  startRun,
  table,
  type Target,
  watchRun,
} from "./cli/mod.ts";
import { type DemoDataset, drawDataset } from "./demo/images.ts";
import { ensureNative } from "./setup/mod.ts";
import { labelRows, type SplitAgreement, splitAgreements } from "./splits/mod.ts";
import { startOwnStack } from "./stack/mod.ts";
import { task } from "./task.ts";

const seed = 1;
const drawing = { seed, imagesPerClass: 160, side: 48 };
const settings = {
  dataset: "micro-organisms",
  imageSize: 48,
  epochs: 16,
  augmentation: "flip-rotate",
  seed,
};

const train = (target: Target, method: string) =>
  Effect.gen(function* () {
    const id = yield* startRun(target, { ...settings, method });
    const run = yield* watchRun(target, id, { json: false });
    if (run.state !== "completed") {
      return yield* failedError(`the run ended as ${run.state}: ${run.error?.message ?? run.step}`);
    }
    return yield* ask(target, `/v1/runs/${id}/metrics`, RunMetricsView);
  });

const rows: readonly (readonly [label: string, of: (metrics: Metrics) => string])[] = [
  ["accuracy", ({ accuracy }) => accuracy.toFixed(3)],
  ["macro F-score", ({ fScore }) => fScore.toFixed(3)],
  ["variance of false negatives", ({ falseNegativeVariance }) => falseNegativeVariance.toFixed(4)],
  ["variance of false positives", ({ falsePositiveVariance }) => falsePositiveVariance.toFixed(4)],
  ["perfectly classified classes", ({ perfectClasses }) => String(perfectClasses)],
];

const describeSplits = (splits: readonly SplitAgreement[], { classes }: DemoDataset): string =>
  table(
    ["class split", "planted views", "sub-classes", "epoch", "adjusted Rand index"],
    splits.map((split) => [
      split.class,
      classes.find(({ name }) => name === split.class)!.views.join(", "),
      split.subclasses,
      split.epoch,
      split.adjustedRandIndex.toFixed(2),
    ]),
  );

/** Trains with and without class splitting, and prints what was found. */
const show = (target: Target, drawn: DemoDataset, report: string) =>
  Effect.gen(function* () {
    yield* importFolder(target, { folder: drawn.folder, name: settings.dataset, fields: {}, json: false });

    const standard = yield* train(target, "standard");
    const split = yield* train(target, "clustering+triplet");
    const { body } = yield* request(target, `/v1/runs/${split.id}/labels.csv`);
    const labels = yield* Effect.promise(() => Array.fromAsync(labelRows(body ?? new Blob().stream())));
    yield* saveReport(target, split.id, report);

    const views = new Map(drawn.images.map(({ path, view }) => [path, view]));
    const splits = splitAgreements(labels, split.folds[0]!.bestEpoch, (image) => views.get(image));
    console.log(`\n${splits.length === 0 ? "no class was split" : describeSplits(splits, drawn)}\n`);
    console.log(table(
      ["held-out images", "standard", "clustering+triplet"],
      rows.map(([label, of]) => [label, of(standard.metrics), of(split.metrics)]),
    ));
    console.log(`\nreport: ${report}\n`);
    return 0;
  });

const demo = Effect.scoped(Effect.gen(function* () {
  const folder = resolve(dataFolder(), "demo");
  yield* ensureNative();
  console.log("drawing images of micro-organisms");
  const drawn = yield* drawDataset(join(folder, "images"), drawing);

  const stack = yield* startOwnStack({
    dataFolder: folder,
    env: { SUBTAXA_DATA_ROOTS: folder },
    log: console.log,
  });
  yield* stack.ready;
  console.log(`live page: ${stack.url}/\n`);
  // a service that is given up would leave a run waiting for ever
  return yield* Effect.raceFirst(show({ url: stack.url }, drawn, join(folder, "report.html")), stack.failed);
}));

if (import.meta.main) {
  task(
    "demo",
    "Sets up what is missing, draws a data set, trains with and without class splitting, and says what was found. Takes " +
      "one to three minutes on two cores, and stops all that it started.",
  ).parse(Deno.args, { from: "user" });
  Deno.exit(await execute({ effect: demo, interrupted: 130 }));
}
