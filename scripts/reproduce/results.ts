import {
  type EpochView,
  type Method,
  type RunMetricsView,
  type RunSettings,
  type RunView,
  usesClustering,
} from "@subtaxa/contracts";
import { classScores } from "@subtaxa/metrics";
import type { SplitAgreement } from "../splits/mod.ts";
import about from "../../deno.json" with { type: "json" };
import { comparable, type Measure, measures } from "./measures.ts";
import type { Imported } from "./dataset.ts";
import { Settings } from "./plan.ts";
import type { Outcome } from "./runs.ts";
import { meanOf, type PairedDifference, pairedDifference, type Spread, spreadOf } from "./statistics.ts";

/** What the API tells of one completed run. */
export interface Collected {
  readonly method: Method;
  readonly id: string;
  readonly metrics: RunMetricsView;
  readonly history: readonly EpochView[];
  /** What it was trained with, defaults filled in. */
  readonly settings: RunSettings | undefined;
  /** Who divided the classes, which versions of it, and with which parameters; undefined where the method divides none. */
  readonly clusterer: RunView["clusterer"] | undefined;
  /** Empty when no groups are known. */
  readonly agreement: readonly (SplitAgreement & { readonly fold: number })[];
}

/** One class in one fold. */
export interface ClassInFold {
  readonly support: number;
  /** Share of the held-out images that was missed; undefined when there is none. */
  readonly falseNegative: number | undefined;
  /** Sub-classes at the best epoch. */
  readonly clusters: number;
}

export interface FoldResult extends Readonly<Record<Measure, number>> {
  readonly fold: number;
  readonly bestEpoch: number;
  readonly epochs: number;
  /** Epochs up to the best one that were trained on divided classes: with none, dividing had no part in the figures. */
  readonly splitEpochs: number;
  /** In the order of the classes. */
  readonly classes: readonly ClassInFold[];
}

export interface MethodResult {
  readonly method: Method;
  readonly id: string;
  readonly folds: readonly FoldResult[];
  readonly summary: Readonly<Record<Measure, Spread>>;
  readonly settings: Collected["settings"];
  readonly clusterer: Collected["clusterer"];
  readonly agreement: Collected["agreement"];
}

/** A method against another one, fold by fold. */
export interface Comparison {
  readonly method: Method;
  readonly against: Method;
  readonly measures: Readonly<Partial<Record<Measure, PairedDifference>>>;
}

/** What one method did with one class, over the folds. */
export interface ClassOfMethod {
  readonly method: Method;
  /** Mean over the folds that hold images of the class; NaN when none does. */
  readonly falseNegative: number;
  /** Folds in whose best epoch the class was divided, and into how many sub-classes on the mean of all folds. */
  readonly splitFolds: number;
  readonly clusters: number;
}

export interface ClassResult {
  readonly name: string;
  readonly images: number;
  readonly methods: readonly ClassOfMethod[];
}

/** All that the report and the tables are made of. */
export interface Results {
  readonly generatedAt: string;
  /** Of Subtaxa, as it collected the results. */
  readonly version: string;
  /** As trained, where all methods have the same; else as asked for. */
  readonly settings: Settings;
  readonly dataset: {
    readonly name: string;
    /** Tells the images from those of other imports under the same name. */
    readonly importedAt: string;
    readonly classes: number;
    readonly images: number;
  };
  readonly trainers: number;
  readonly methods: readonly MethodResult[];
  readonly comparisons: readonly Comparison[];
  readonly classes: readonly ClassResult[];
  /** Methods without a result. */
  readonly missing: readonly Outcome[];
}

const foldResult = (
  { fold, bestEpoch, metrics, confusion }: RunMetricsView["folds"][number],
  classes: readonly string[],
  history: readonly EpochView[],
): FoldResult => {
  const epochs = history.filter((epoch) => epoch.fold === fold);
  const best = epochs.find(({ epoch }) => epoch === bestEpoch)?.clusters ?? {};
  const clusters = classes.map((name) => Object.hasOwn(best, name) ? best[name]! : 1);
  return {
    fold,
    bestEpoch,
    epochs: epochs.length,
    splitEpochs:
      epochs.filter(({ epoch, clusters }) =>
        epoch <= bestEpoch && Object.values(clusters).some((number) => number > 1)
      ).length,
    ...metrics,
    secondsPerEpoch: meanOf(epochs.map(({ seconds }) => seconds)),
    subclasses: clusters.reduce((sum, number) => sum + number, 0),
    classes: classScores(confusion).map(({ support, falseNegative }, i) => ({
      support,
      falseNegative: support === 0 ? undefined : falseNegative,
      clusters: clusters[i] ?? 1,
    })),
  };
};

const methodResult = ({ metrics, history, ...rest }: Collected): MethodResult => {
  const folds = metrics.folds.map((fold) => foldResult(fold, metrics.classes, history));
  return {
    ...rest,
    folds,
    summary: Object.fromEntries(
      measures.map(({ measure }) => [measure, spreadOf(folds.map((fold) => fold[measure]))]),
    ) as Record<Measure, Spread>, // the keys are exactly the measures
  };
};

/** The settings with what they leave open as the runs have it, where they agree; only dividers have a clusterer. */
const asTrained = (asked: Settings, methods: readonly Pick<Collected, "method" | "settings">[]): Settings => {
  const trained = (name: string): readonly unknown[] =>
    methods.flatMap(({ method, settings }) =>
      settings && (name !== "clusterer" || usesClustering(method))
        ? [settings[name as keyof RunSettings]]
        : []
    );
  return Settings.parse(Object.fromEntries(
    Object.keys(Settings.shape).flatMap((name) => {
      const [first, ...others] = trained(name);
      const agreed = first !== undefined &&
        others.every((value) => JSON.stringify(value) === JSON.stringify(first));
      const value = agreed ? first : asked[name as keyof Settings];
      return value === undefined ? [] : [[name, value]];
    }),
  ));
};

/** Paired fold by fold: both methods had the same seed, so the same images are held out. */
const comparison = (ours: MethodResult, theirs: MethodResult): Comparison => ({
  method: ours.method,
  against: theirs.method,
  measures: Object.fromEntries(comparable.map(({ measure, higherIsBetter }) => [
    measure,
    pairedDifference(
      ours.folds.map((fold) => fold[measure]),
      theirs.folds.map((fold) => fold[measure]),
      { higherIsBetter: higherIsBetter === true },
    ),
  ])),
});

/** Every other method against `standard`, and clustering with triplets against triplets alone. */
const comparisonsOf = (methods: readonly MethodResult[]): Comparison[] => {
  const of = (name: Method) => methods.find(({ method }) => method === name);
  const against = (method: Method, other: Method): Comparison[] => {
    const [ours, theirs] = [of(method), of(other)];
    return ours && theirs ? [comparison(ours, theirs)] : [];
  };
  return [
    ...methods.filter(({ method }) => method !== "standard").flatMap(({ method }) =>
      against(method, "standard")
    ),
    ...against("clustering+triplet", "triplet"),
  ];
};

const classResult = (name: string, index: number, methods: readonly MethodResult[]): ClassResult => {
  const folds = methods[0]?.folds ?? [];
  return {
    name,
    images: folds.reduce((sum, fold) => sum + (fold.classes[index]?.support ?? 0), 0),
    methods: methods.map(({ method, folds }) => {
      const own = folds.flatMap(({ classes }) => classes[index] ?? []);
      return {
        method,
        falseNegative: meanOf(own.flatMap(({ falseNegative }) => falseNegative ?? [])),
        splitFolds: own.filter(({ clusters }) => clusters > 1).length,
        clusters: meanOf(own.map(({ clusters }) => clusters)),
      };
    }),
  };
};

/** Everything that is computed from what the runs left behind; pure. */
export const resultsOf = (
  collected: readonly Collected[],
  { dataset, importedAt, settings, ...facts }:
    & Pick<Results, "generatedAt" | "settings" | "trainers" | "missing">
    & Imported,
): Results => {
  const methods = collected.map(methodResult);
  const names = collected[0]?.metrics.classes ?? [];
  return {
    ...facts,
    version: about.version,
    settings: asTrained(settings, collected),
    dataset: {
      name: dataset.name,
      importedAt,
      classes: dataset.classes.length,
      images: dataset.classes.reduce((sum, { images }) => sum + images, 0),
    },
    methods,
    comparisons: comparisonsOf(methods),
    classes: names.map((name, index) => classResult(name, index, methods)),
  };
};
