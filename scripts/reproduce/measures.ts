import type { Metrics } from "@subtaxa/contracts";

/** What is measured in every fold of every method. */
export type Measure =
  | keyof Pick<
    Metrics,
    | "accuracy"
    | "recall"
    | "precision"
    | "fScore"
    | "falseNegativeVariance"
    | "falsePositiveVariance"
    | "perfectClasses"
  >
  | "secondsPerEpoch"
  | "subclasses";

interface Meaning {
  readonly measure: Measure;
  readonly label: string;
  /** Rates are shown in percent, as the paper does. */
  readonly percent: boolean;
  readonly digits: number;
  /** Undefined where neither is better by itself. */
  readonly higherIsBetter: boolean | undefined;
}

/** In the paper's order; the last two are ours. */
export const measures: readonly Meaning[] = [
  { measure: "accuracy", label: "accuracy %", percent: true, digits: 2, higherIsBetter: true },
  { measure: "recall", label: "recall %", percent: true, digits: 2, higherIsBetter: true },
  { measure: "precision", label: "precision %", percent: true, digits: 2, higherIsBetter: true },
  { measure: "fScore", label: "F-score %", percent: true, digits: 2, higherIsBetter: true },
  {
    measure: "falseNegativeVariance",
    label: "FN variance",
    percent: false,
    digits: 4,
    higherIsBetter: false,
  },
  {
    measure: "falsePositiveVariance",
    label: "FP variance",
    percent: false,
    digits: 4,
    higherIsBetter: false,
  },
  { measure: "perfectClasses", label: "perfect classes", percent: false, digits: 1, higherIsBetter: true },
  { measure: "secondsPerEpoch", label: "s per epoch", percent: false, digits: 2, higherIsBetter: undefined },
  { measure: "subclasses", label: "sub-classes", percent: false, digits: 1, higherIsBetter: undefined },
];

/** Those by which methods are compared. */
export const comparable = measures.filter((meaning) => meaning.higherIsBetter !== undefined);

type Format = Pick<Meaning, "percent" | "digits">;

/** A value as the tables show it: rates in percent. */
export const shown = ({ percent, digits }: Format, value: number): string =>
  (percent ? 100 * value : value).toFixed(digits);

/** `65.51 ± 1.20`; without the second part where there is one fold. */
export const shownSpread = (
  format: Format,
  { mean, deviation }: { readonly mean: number; readonly deviation?: number | undefined },
): string => shown(format, mean) + (deviation === undefined ? "" : ` ± ${shown(format, deviation)}`);

/** With its sign; what rounds to nothing has none. */
export const signed = (format: Format, value: number): string => {
  const text = shown(format, value);
  if (Number(text) === 0) return text.replace("-", "");
  return value > 0 ? `+${text}` : text.replace("-", "−");
};
