import { type EpochView, type Method, type Metrics, type RunView, usesClustering } from "@subtaxa/contracts";
import { metricsOf } from "@subtaxa/metrics";
import { Settings } from "./plan.ts";
import { type Collected, type Results, resultsOf } from "./results.ts";

/** What a test says of one method: per fold, how many of each class's ten held-out images are missed. */
export interface Planted {
  readonly method: Method;
  readonly missed: readonly (readonly number[])[];
  /** Sub-classes per class at the best epoch, in every fold; 1 each when left out. */
  readonly clusters?: readonly number[];
  readonly agreement?: Collected["agreement"];
}

const images = 10;

/** Misses go to the next class. */
const confusionOf = (missed: readonly number[]): number[][] =>
  missed.map((count, i) =>
    missed.map((_, j) => j === i ? images - count : j === (i + 1) % missed.length ? count : 0)
  );

const epochView = (
  fold: number,
  epoch: number,
  metrics: Metrics,
  clusters: EpochView["clusters"],
): EpochView => ({
  fold,
  epoch,
  loss: 1,
  validationLoss: 1,
  ...metrics,
  clusters,
  falseNegatives: {},
  allowedClusters: {},
  seconds: 2 + epoch,
});

/** A run as the API would tell it: two epochs per fold, the first is the best. */
const collectedOf = (
  { method, missed, clusters, agreement = [] }: Planted,
  classes: readonly string[],
  settings: Settings,
): Collected => {
  const folds = missed.map((ofFold, fold) => {
    const confusion = confusionOf(ofFold);
    return { fold, bestEpoch: 1, metrics: metricsOf(confusion), confusion };
  });
  const atBest = Object.fromEntries(classes.map((name, i) => [name, clusters?.[i] ?? 1]));
  return {
    method,
    id: `run-${method}`,
    metrics: { id: `run-${method}`, metrics: folds[0]!.metrics, folds, classes: [...classes] },
    history: folds.flatMap(({ fold, metrics }) => [
      epochView(fold, 1, metrics, atBest),
      epochView(fold, 2, metrics, Object.fromEntries(classes.map((name) => [name, 9]))),
    ]),
    settings: {
      ...settings,
      method,
      imageSize: settings.imageSize ?? 64,
      learningRate: settings.learningRate ?? 1e-3,
      views: settings.views ?? 1,
      clusterer: method === "gs-trs" ? "kmeans" : settings.clusterer ?? "xmeans",
    },
    clusterer: usesClustering(method)
      ? { name: method === "gs-trs" ? "kmeans" : "xmeans", parameters: {}, versions: ["0.1.0"] }
      : undefined,
    agreement,
  };
};

/** Results computed from planted misses. */
export const plantedResults = (
  classes: readonly string[],
  methods: readonly Planted[],
  rest: Partial<Pick<Results, "missing">> & { readonly settings?: Partial<Settings> } = {},
): Results => {
  const folds = methods[0]?.missed.length ?? 1;
  const settings = Settings.parse({ dataset: "planted", folds, ...rest.settings });
  return resultsOf(methods.map((method) => collectedOf(method, classes, settings)), {
    generatedAt: "2026-01-05T09:00:00.000Z",
    settings,
    importedAt: "2026-01-05T08:00:00.000Z",
    trainers: 1,
    missing: rest.missing ?? [],
    dataset: {
      name: "planted",
      state: "ready",
      classes: classes.map((name) => ({ name, images: images * folds })),
      ...{ rejected: [], rejectedByReason: [], warnings: [], labelConflicts: [] },
    },
  });
};

/** A run of two folds that waits to begin, but for what is said of it. */
export const plantedRun = (rest: Partial<RunView>): RunView => ({
  id: "r",
  state: "queued",
  dataset: "planted",
  method: "standard",
  backbone: "small",
  imageSize: 64,
  seed: 0,
  folds: 2,
  epoch: 0,
  epochs: 2,
  epochsDone: 0,
  step: "waiting",
  createdAt: "2026-01-05T09:00:00.000Z",
  classes: [],
  history: [],
  ...rest,
});
