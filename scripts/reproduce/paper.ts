import type { Backbone, Method } from "@subtaxa/contracts";

/** What the paper's figures are taken from. */
export const reference = "Venkataramanan, Laviale, Figus, Usseglio-Polatera, Pradalier: " +
  "Tackling Inter-Class Similarity and Intra-Class Variance for Microscopic Image-based Classification, " +
  "Tables 1 and 2; perfectly classified classes from sections 5.1 and 5.2";

/** One row of Table 1 or 2: rates as fractions, to as many digits as the percents printed there have; variances as printed. */
export interface PaperRow {
  readonly table: 1 | 2;
  readonly dataset: "diatoms" | "WHOI-Plankton";
  readonly architecture: "ResNet50" | "EfficientNet";
  readonly method: Method;
  readonly accuracy: number;
  readonly recall: number;
  readonly precision: number;
  readonly fScore: number;
  readonly falseNegativeVariance: number;
  readonly falsePositiveVariance: number;
  /** Stated for two methods with EfficientNet only. */
  readonly perfectClasses?: number;
}

/** As printed: the first four are percents. */
type Figures = readonly [
  accuracy: number,
  recall: number,
  precision: number,
  fScore: number,
  falseNegativeVariance: number,
  falsePositiveVariance: number,
  perfectClasses?: number,
];

/** Percents are printed with two decimals. */
const fraction = (percent: number): number => Number((percent / 100).toFixed(4));

const methods = ["standard", "triplet", "clustering", "clustering+triplet", "gs-trs"] as const;

const rows = (
  where: Pick<PaperRow, "table" | "dataset" | "architecture">,
  figures: readonly Figures[],
): PaperRow[] =>
  figures.map(([accuracy, recall, precision, fScore, fnVariance, fpVariance, perfectClasses], i) => ({
    ...where,
    method: methods[i]!,
    accuracy: fraction(accuracy),
    recall: fraction(recall),
    precision: fraction(precision),
    fScore: fraction(fScore),
    falseNegativeVariance: fnVariance,
    falsePositiveVariance: fpVariance,
    ...(perfectClasses === undefined ? {} : { perfectClasses }),
  }));

/** Tables 1 and 2 of the paper, all rows. */
export const paperRows: readonly PaperRow[] = [
  ...rows({ table: 1, dataset: "diatoms", architecture: "ResNet50" }, [
    [94.24, 93.54, 93.98, 92.85, 0.036, 0.049],
    [96.06, 95.86, 95.97, 95.33, 0.022, 0.023],
    [96.57, 96.53, 96.61, 96.15, 0.020, 0.014],
    [97.37, 97.95, 97.97, 97.79, 0.0059, 0.0071],
    [93.23, 93.03, 93.44, 92.66, 0.018, 0.018],
  ]),
  ...rows({ table: 1, dataset: "diatoms", architecture: "EfficientNet" }, [
    [95.31, 94.92, 95.10, 94.82, 0.031, 0.041, 120],
    [96.67, 96.52, 96.68, 96.50, 0.021, 0.021],
    [96.76, 96.61, 96.11, 96.67, 0.019, 0.016],
    [97.22, 96.64, 97.30, 96.69, 0.0047, 0.0053, 140],
    [93.60, 92.96, 93.27, 93.43, 0.020, 0.024],
  ]),
  ...rows({ table: 2, dataset: "WHOI-Plankton", architecture: "ResNet50" }, [
    [88.54, 84.90, 85.82, 84.71, 0.022, 0.136],
    [89.25, 83.90, 85.39, 84.63, 0.034, 0.084],
    [88.17, 87.49, 83.25, 84.52, 0.013, 0.095],
    [89.48, 85.64, 86.54, 85.50, 0.017, 0.034],
    [87.53, 78.75, 86.67, 80.81, 0.035, 0.156],
  ]),
  ...rows({ table: 2, dataset: "WHOI-Plankton", architecture: "EfficientNet" }, [
    [88.82, 86.51, 82.21, 81.67, 0.030, 0.125, 3],
    [88.99, 84.31, 84.23, 83.78, 0.041, 0.079],
    [88.71, 85.96, 81.65, 81.49, 0.015, 0.103],
    [90.53, 88.91, 87.13, 83.86, 0.013, 0.024, 7],
    [87.66, 82.25, 82.35, 82.03, 0.033, 0.147],
  ]),
];

/** What the paper's data sets are, for the captions: they are not the one at hand. */
export const paperDatasets = {
  diatoms: "166 classes, 9,895 images",
  "WHOI-Plankton": "38 classes with at least 50 images each, 26,612 images",
} as const;

const architectureOf: Readonly<Record<Backbone, PaperRow["architecture"] | undefined>> = {
  small: undefined,
  resnet50: "ResNet50",
  "efficientnet-b0": "EfficientNet",
};

/** The paper's rows for the same network; all of them for a network that it doesn't have. */
export const paperRowsFor = (backbone: Backbone): readonly PaperRow[] => {
  const architecture = architectureOf[backbone];
  return paperRows.filter((row) => architecture === undefined || row.architecture === architecture);
};
