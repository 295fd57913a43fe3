import { stringify } from "csv-stringify/sync";
import { type Indices, meanAgreement, telling } from "../splits/mod.ts";
import { comparable, type Measure, measures, shownSpread, signed } from "./measures.ts";
import { allMethods } from "./plan.ts";
import { paperDatasets, type PaperRow, paperRowsFor, reference } from "./paper.ts";
import type { Comparison, Results } from "./results.ts";
import { describeOutcome } from "./runs.ts";
import type { PairedDifference } from "./statistics.ts";
import { verdictOf } from "./verdict.ts";

/** Rows of cells; the first names the columns. */
export type Cells = readonly (readonly string[])[];

type PaperMeasure = Exclude<Measure, "secondsPerEpoch" | "subclasses">;

const measuresOfPaper = measures.flatMap((meaning) => {
  const { measure } = meaning;
  return measure === "secondsPerEpoch" || measure === "subclasses" ? [] : [{ ...meaning, measure }];
});

/** A figure as the paper prints it, or nothing where it has none. */
const printed = (row: PaperRow, measure: PaperMeasure): string => {
  const value = row[measure];
  if (value === undefined) return "";
  if (measure === "perfectClasses") return String(value);
  if (!measure.endsWith("Variance")) return (100 * value).toFixed(2);
  return value.toFixed(value < 0.01 ? 4 : 3);
};

/** Our means and standard deviations over the folds. */
export const ownTable = ({ methods }: Results): Cells => [
  ["method", ...measures.map(({ label }) => label)],
  ...methods.map(({ method, summary }) => [
    method,
    ...measures.map((meaning) => shownSpread(meaning, summary[meaning.measure])),
  ]),
];

/** Method by method: ours, and the paper's figures for the same network. */
export const besideTable = ({ methods, settings, dataset }: Results): Cells => [
  ["method", "source", ...measuresOfPaper.map(({ label }) => label)],
  ...allMethods.flatMap((method) => [
    ...methods.filter((ours) => ours.method === method).map(({ summary }) => [
      method,
      `ours: ${dataset.name}, ${settings.backbone}`,
      ...measuresOfPaper.map((meaning) => shownSpread(meaning, summary[meaning.measure])),
    ]),
    ...paperRowsFor(settings.backbone).filter((row) => row.method === method).map((row) => [
      method,
      `paper: ${row.dataset}, ${row.architecture} (Table ${row.table})`,
      ...measuresOfPaper.map(({ measure }) => printed(row, measure)),
    ]),
  ]),
];

const shownDifference = (
  meaning: (typeof measures)[number],
  { mean, deviation, better, folds }: PairedDifference,
): string =>
  signed(meaning, mean) +
  (deviation === undefined ? "" : ` ± ${signed(meaning, deviation).replace("+", "")} (${better}/${folds})`);

/** Paired differences, each with its standard deviation, and in how many folds it is better. */
export const differenceTable = (comparisons: readonly Comparison[]): Cells => [
  ["difference", ...comparable.map(({ label }) => label)],
  ...comparisons.map((comparison) => [
    `${comparison.method} − ${comparison.against}`,
    ...comparable.map((meaning) => {
      const difference = comparison.measures[meaning.measure];
      return difference ? shownDifference(meaning, difference) : "";
    }),
  ]),
];

/** False negatives (percent, mean over the folds) per class and method, and which classes were split. */
export const classTable = ({ classes, methods }: Results): Cells => {
  const splitting = methods.filter(({ method }) => method.startsWith("clustering") || method === "gs-trs");
  const folds = methods[0]?.folds.length ?? 0;
  return [
    [
      "class",
      "images",
      ...methods.map(({ method }) => `FN % ${method}`),
      ...splitting.map(({ method }) => `split by ${method}`),
    ],
    ...classes.map((one) => [
      one.name,
      String(one.images),
      ...one.methods.map(({ falseNegative }) =>
        Number.isNaN(falseNegative) ? "–" : (100 * falseNegative).toFixed(1)
      ),
      ...splitting.map(({ method }) => {
        const { splitFolds, clusters } = one.methods.find((other) => other.method === method)!;
        return splitFolds === 0 ? "–" : `${splitFolds}/${folds} folds, mean ${clusters.toFixed(1)}`;
      }),
    ]),
  ];
};

/** Agreement of the sub-classes with the known groups, per class and fold, and the mean of each fold. */
export const agreementTable = ({ methods }: Results): Cells => {
  const shown = ({ adjustedRandIndex, normalisedMutualInformation, purity, purityUnsplit }: Indices) =>
    [adjustedRandIndex, normalisedMutualInformation, purity, purityUnsplit].map((value) => value.toFixed(3));
  const total = (values: readonly number[]) => String(values.reduce((sum, value) => sum + value, 0));
  return [
    [
      "method",
      "fold",
      "class",
      "images",
      "without a group",
      "sub-classes",
      "known groups",
      "adjusted Rand index",
      "NMI",
      "purity",
      "purity unsplit",
    ],
    ...methods.flatMap(({ method, agreement }) =>
      [...Map.groupBy(agreement, ({ fold }) => fold)].flatMap(([fold, ofFold]) => {
        const [averaged, mean] = [telling(ofFold), meanAgreement(ofFold)];
        return [
          ...ofFold.map((one) => [
            ...[method, String(fold), one.class],
            ...[one.images, one.ungrouped, one.subclasses, one.groups].map(String),
            ...shown(one),
          ]),
          ...mean
            ? [[
              ...[method, String(fold), `mean of the ${averaged.length} with several known groups`],
              total(averaged.map(({ images }) => images)),
              total(averaged.map(({ ungrouped }) => ungrouped)),
              total(averaged.map(({ subclasses }) => subclasses)),
              total(averaged.map(({ groups }) => groups)),
              ...shown(mean),
            ]]
            : [],
        ];
      })
    ),
  ];
};

const markdownTable = ([head = [], ...rows]: Cells): string => {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll(/\s+/g, " ").replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map((_, i) => i === 0 ? " --- " : " ---: ").join("|")}|`, ...rows.map(line)]
    .join("\n");
};

/** What the figures were measured on, in one line. */
export const conditions = ({ dataset, settings, methods }: Results): string => {
  const { backbone, weights, freeze, imageSize, epochs, folds, seed, clusterer } = settings;
  return `${dataset.name}: ${dataset.classes} classes, ${dataset.images} images; ${backbone}, weights ${weights}` +
    (freeze === "none" ? "" : `, frozen: ${freeze}`) +
    `${imageSize === undefined ? "" : `, ${imageSize} px`}; ` +
    (clusterer === undefined ? "" : `classes divided by ${clusterer}; `) +
    `at most ${epochs} epochs, ${methods[0]?.folds.length ?? folds} of ${folds} fold${
      folds === 1 ? "" : "s"
    }, seed ${seed}`;
};

export const meansNote =
  "mean ± standard deviation over the folds, held-out images, best epoch by validation";
export const paperNote = "The paper's figures are for its own data sets " +
  `(diatoms: ${paperDatasets.diatoms}; WHOI-Plankton: ${
    paperDatasets["WHOI-Plankton"]
  }), not for this one: ` +
  "compare how the methods differ, not the levels.";
export const differenceNote =
  "mean ± standard deviation of the differences fold by fold, and in how many folds the " +
  "first is better (lower for the variances)";

/** `table.md`. */
export const markdownOf = (results: Results): string => {
  const { comparisons, methods, missing } = results;
  const agreement = methods.some((method) => method.agreement.length > 0);
  const sections = [
    `# ${conditions(results)}`,
    ...verdictOf(results),
    ...missing.map((outcome) => `No result for ${outcome.method}: ${describeOutcome(outcome)}.`),
    `## Ours (${meansNote})`,
    markdownTable(ownTable(results)),
    "## Ours beside the paper's",
    `${paperNote} ${reference}.`,
    markdownTable(besideTable(results)),
    ...(comparisons.length > 0
      ? [`## Paired differences (${differenceNote})`, markdownTable(differenceTable(comparisons))]
      : []),
    "## Class by class",
    markdownTable(classTable(results)),
    ...(agreement ? ["## Sub-classes and known groups", markdownTable(agreementTable(results))] : []),
  ];
  return `${sections.join("\n\n")}\n`;
};

/** `table.csv`: one row per source, method and measure; rates as fractions, the paper's too. */
export const csvOf = ({ dataset, settings, methods }: Results): string =>
  stringify([
    ["source", "dataset", "network", "method", "measure", "mean", "standard deviation", "folds"],
    ...methods.flatMap(({ method, summary, folds }) =>
      measures.map(({ measure }) => [
        ...["ours", dataset.name, settings.backbone, method, measure],
        ...[summary[measure].mean, summary[measure].deviation ?? "", folds.length],
      ])
    ),
    ...paperRowsFor(settings.backbone).flatMap((row) =>
      measuresOfPaper.flatMap(({ measure }) =>
        row[measure] === undefined
          ? []
          : [["paper", row.dataset, row.architecture, row.method, measure, row[measure], "", 5]]
      )
    ),
  ]);
