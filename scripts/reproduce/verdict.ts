import type { Method } from "@subtaxa/contracts";
import { count } from "../cli/mod.ts";
import { comparable, type Measure, signed } from "./measures.ts";
import type { Comparison, FoldResult, MethodResult, Results } from "./results.ts";
import { meanAgreement } from "../splits/mod.ts";
import {
  confidenceOf,
  headsAtLeast,
  intervalOf,
  meanOf,
  type PairedDifference,
  spreadOf,
} from "./statistics.ts";

const points = (measure: Measure, value: number): string =>
  signed(comparable.find((meaning) => meaning.measure === measure)!, value);

/** Of false negatives, as points of a percentage. */
const rate = { percent: true, digits: 1 };

const list = (names: readonly string[]): string =>
  names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/** The measures that a comparison is judged by. */
const judged = [["accuracy", "accuracy"], ["fScore", "macro F"]] as const;

/** Comparisons that answer one question, each by every judged measure: so many tests. */
const testsOf = (family: readonly Comparison[]): number => judged.length * family.length;

const confidence = (tests: number): string => `${Number((100 * confidenceOf(tests)).toFixed(2))} %`;

/** Whether the interval leaves out zero, and to which side. */
const direction = (difference: PairedDifference, tests: number): "up" | "down" | "unclear" => {
  const [low, high] = intervalOf(difference, tests) ?? [-Infinity, Infinity];
  return low > 0 ? "up" : high < 0 ? "down" : "unclear";
};

const shownInterval = (measure: Measure, difference: PairedDifference, tests: number): string => {
  const [low, high] = intervalOf(difference, tests) ?? [NaN, NaN];
  return `${confidence(tests)} interval ${points(measure, low)} to ${points(measure, high)}`;
};

const figures = (measure: Measure, difference: PairedDifference, tests: number): string => {
  const { mean, deviation, better, folds } = difference;
  if (deviation === undefined) return `${points(measure, mean)} points`;
  return `${points(measure, mean)} ± ${points(measure, deviation).replace("+", "")} points, ` +
    `better in ${better} of ${folds} folds, ${shownInterval(measure, difference, tests)}`;
};

const subject = ({ method, against }: Comparison): string =>
  method === "gs-trs"
    ? "Splitting every class into a fixed number (gs-trs against standard)"
    : method === "clustering+triplet" && against === "standard"
    ? "Splitting and triplets together (clustering+triplet against standard)"
    : `Splitting ${against === "triplet" ? "with" : "without"} triplets (${method} against ${against})`;

/** What one comparison says, by accuracy and macro F-score; it is one of those that answer a question by so many tests. */
const sentence = (comparison: Comparison, divided: boolean, tests: number): string | undefined => {
  const { accuracy, fScore } = comparison.measures;
  if (!accuracy || !fScore) return undefined;
  const detail = judged.map(([measure, name]) =>
    `${name} ${figures(measure, comparison.measures[measure]!, tests)}`
  ).join("; ");
  if (!divided) {
    return `${subject(comparison)} says nothing about splitting, as no class was split: ${detail}.`;
  }
  if (accuracy.folds === 1) {
    return `${subject(comparison)}: ${detail}. One fold doesn't tell whether that is more than chance.`;
  }
  const moved = (wanted: "up" | "down") =>
    list(
      judged.flatMap(([measure, name]) =>
        direction(comparison.measures[measure]!, tests) === wanted ? [name] : []
      ),
    );
  const [up, down] = [moved("up"), moved("down")];
  const says = up && down
    ? `raises ${up} and lowers ${down}`
    : up
    ? `helps (${up})`
    : down
    ? `hurts (${down})`
    : "makes no difference that stands out from the spread over the folds";
  return `${subject(comparison)} ${says}: ${detail}.`;
};

/** One class in all folds: by how much fewer of its images are missed. */
interface ClassChange {
  readonly name: string;
  /** Mean of the differences of the false-negative rate; below 0 is better. */
  readonly mean: number;
  readonly better: number;
  readonly worse: number;
  readonly folds: number;
  /** Divided in at least one fold's best epoch. */
  readonly split: boolean;
}

const changesOf = (ours: MethodResult, theirs: MethodResult, names: readonly string[]): ClassChange[] =>
  names.flatMap((name, i) => {
    const at = (fold: FoldResult | undefined) => fold?.classes[i]?.falseNegative;
    const differences = ours.folds.flatMap((fold, k) => {
      const [is, was] = [at(fold), at(theirs.folds[k])];
      return is === undefined || was === undefined ? [] : [is - was];
    });
    if (differences.length === 0) return [];
    return [{
      name,
      mean: spreadOf(differences).mean,
      better: differences.filter((difference) => difference < 0).length,
      worse: differences.filter((difference) => difference > 0).length,
      folds: differences.length,
      split: ours.folds.some(({ classes }) => (classes[i]?.clusters ?? 1) > 1),
    }];
  });

/** Four of five folds, and as large a part of other numbers. */
const most = (folds: number): number => Math.ceil(0.8 * folds);

const shownChanges = (changes: readonly ClassChange[]): string => {
  const sorted = changes.toSorted((a, b) => Math.abs(b.mean) - Math.abs(a.mean));
  const named = sorted.slice(0, 8).map(({ name, mean, split }) =>
    `${name} (${signed(rate, mean)} points${split ? ", split" : ""})`
  );
  const more = sorted.length - named.length;
  return list(more > 0 ? [...named, `${more} more`] : named);
};

/** In which classes fewer or more images are missed, in nearly all folds. */
const classSentence = (method: Method, against: Method, changes: readonly ClassChange[]): string => {
  const folds = Math.max(0, ...changes.map((change) => change.folds));
  const chance = changes.reduce(
    (sum, { better, worse }) => sum + headsAtLeast(most(folds), better + worse),
    0,
  );
  const where = `${folds === 1 ? "in the one fold" : `in at least ${most(folds)} of ${folds} folds`}; ` +
    `chance alone, in independent folds, would name some ${chance.toFixed(1)} of the ${
      count(changes.length, "class", "classes")
    } on either side`;
  const lower = changes.filter(({ better, mean }) => better >= most(folds) && mean < 0);
  const higher = changes.filter(({ worse, mean }) => worse >= most(folds) && mean > 0);
  const mean = (split: boolean) => {
    const some = changes.filter((change) => change.split === split);
    const number = `${some.length} ${some.length === 1 ? "class" : "classes"}`;
    return some.length === 0
      ? `no class was ${split ? "" : "left un"}split`
      : `${signed(rate, spreadOf(some.map((change) => change.mean)).mean)} points on the mean of the ` +
        `${number} that ${some.length === 1 ? "was" : "were"} ${
          split ? "" : "not "
        }split in any fold's best epoch`;
  };
  const part = (changed: readonly ClassChange[], word: string) =>
    changed.length === 0 ? `in no class ${word}` : `${word} in ${shownChanges(changed)}`;
  return `False negatives of ${method} against ${against}: ${part(lower, "lower")}, ${
    part(higher, "higher")
  } ` +
    `(${where}); ${mean(true)}, ${mean(false)}.`;
};

/** Agreement with known groups, in one sentence per method; nothing where none are known. */
const agreementSentences = ({ methods }: Results): string[] =>
  methods.flatMap(({ method, agreement }) => {
    const ofFolds = [...Map.groupBy(agreement, ({ fold }) => fold).values()]
      .flatMap((ofFold) => meanAgreement(ofFold) ?? []);
    if (ofFolds.length === 0) return [];
    const ari = spreadOf(ofFolds.map(({ adjustedRandIndex }) => adjustedRandIndex));
    const deviation = ari.deviation === undefined ? "" : ` ± ${ari.deviation.toFixed(3)} over the folds`;
    return [
      `The sub-classes of ${method} agree with the known groups by an adjusted Rand index of ` +
      `${ari.mean.toFixed(3)}${deviation} (0 is chance, 1 is equal), purity ` +
      `${meanOf(ofFolds.map(({ purity }) => purity)).toFixed(3)} against ` +
      `${meanOf(ofFolds.map(({ purityUnsplit }) => purityUnsplit)).toFixed(3)} of the same classes unsplit.`,
    ];
  });

/** The answer in short, from the comparisons in which splitting alone makes the difference. */
const headline = (pure: readonly Comparison[], tests: number): string[] => {
  const known = pure.flatMap(({ method, measures: { accuracy, fScore } }) => {
    const side = `${method === "clustering" ? "without" : "with"} triplets`;
    return accuracy && fScore && accuracy.folds > 1 ? [{ side, accuracy, fScore }] : [];
  });
  if (known.length === 0) return [];
  const moved = known.flatMap((one) =>
    judged.flatMap(([measure, name]) => {
      const difference = one[measure];
      const to = direction(difference, tests);
      const shown = `${name} ${one.side} (${points(measure, difference.mean)} points, ${
        shownInterval(measure, difference, tests)
      })`;
      return to === "unclear" ? [] : [{ to, shown }];
    })
  );
  const [up, down] = (["up", "down"] as const).map((wanted) => moved.some(({ to }) => to === wanted));
  const says = up && down ? "helps in one respect and hurts in another" : up ? "helps" : "hurts";
  const each = list(
    known.map(({ side, accuracy }) =>
      `${points("accuracy", accuracy.mean)} ± ${
        points("accuracy", accuracy.deviation!).replace("+", "")
      } points ${side}`
    ),
  );
  const level = `${confidence(tests)} intervals: 95 % for the ${tests} tests together`;
  return moved.length === 0
    ? [
      "Splitting classes makes no difference that stands out from the spread over the folds here: " +
      `accuracy changes by ${each} (${level}).`,
    ]
    : [
      `Splitting classes ${says} here, by ${moved.length} of ${tests} tests: ${
        list(moved.map(({ shown }) => shown))
      }. Accuracy changes by ${each} (${level}).`,
    ];
};

const divides = ({ folds }: MethodResult): boolean => folds.some(({ splitEpochs }) => splitEpochs > 0);

/** What allows more splits, with the values so far; flags of the command line. */
const advice = ({ settings }: Results, methods: readonly Method[]): string => {
  const { epochs, confusionThreshold, minClusterSize, criterion, dimension, clusterer = "xmeans" } = settings;
  const searched = methods.some((method) => method !== "gs-trs");
  return list([
    "more images per class",
    `more --epochs (now ${epochs})`,
    ...searched ? [`a lower --confusion-threshold (now ${confusionThreshold})`] : [],
    ...searched && clusterer === "xmeans"
      ? [
        `a smaller --min-cluster-size (now ${minClusterSize})`,
        ...criterion === "aic" ? [] : ["--criterion aic"],
        ...dimension === "nominal" ? [] : ["--dimension nominal"],
      ]
      : [],
  ]);
};

/** Methods that split nothing before what is measured of them; their figures are those of training without splitting. */
const withoutSplits = (results: Results, compared: readonly Method[]): string[] => {
  const whole = results.methods.filter((one) => compared.includes(one.method) && !divides(one))
    .map(({ method }) => method);
  if (whole.length === 0) return [];
  const all = whole.length === compared.length;
  return [
    `No class was split in any fold${
      all ? "" : ` by ${list(whole)}`
    }, up to the epoch that is scored: this ` +
    `reproduction says nothing about splitting${all ? "" : ` by ${whole.length === 1 ? "it" : "them"}`}. ` +
    `What allows more splits: ${advice(results, whole)}.`,
  ];
};

/**
 * Does splitting help, by how much against the spread over the folds, and in which classes: computed from the results. A
 * difference counts when the interval of its mean over the folds leaves out zero. Two questions are asked, each by several
 * tests, whose intervals are Bonferroni's: does splitting alone help, and how do the methods as a whole compare.
 */
export const verdictOf = (results: Results): string[] => {
  const { methods, comparisons, classes } = results;
  const wanted = (...pairs: (readonly [Method, Method])[]) =>
    pairs.flatMap(([method, against]) =>
      comparisons.find((one) => one.method === method && one.against === against) ?? []
    );
  /** Of equal losses. */
  const pure = wanted(["clustering", "standard"], ["clustering+triplet", "triplet"]);
  const together = wanted(["clustering+triplet", "standard"]);
  const whole = [...together, ...wanted(["gs-trs", "standard"])];
  const all = [...pure, ...whole];
  if (all.length === 0) {
    return [
      "Nothing can be said about splitting: that takes a method that splits, and one of the same losses that doesn't.",
    ];
  }
  const names = classes.map(({ name }) => name);
  const of = (name: Method) => methods.find(({ method }) => method === name)!;
  const divided = ({ method }: Comparison) => divides(of(method));
  const inClasses = (pure.length > 0 ? pure : together).filter(divided).map(({ method, against }) =>
    classSentence(method, against, changesOf(of(method), of(against), names))
  );
  return [
    ...headline(pure.filter(divided), testsOf(pure)),
    ...withoutSplits(results, [...new Set(all.map(({ method }) => method))]),
    ...[pure, whole].flatMap((family) =>
      family.flatMap((one) => sentence(one, divided(one), testsOf(family)) ?? [])
    ),
    ...inClasses,
    ...agreementSentences(results),
  ];
};
