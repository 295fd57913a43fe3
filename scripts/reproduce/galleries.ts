import type { Method } from "@subtaxa/contracts";
import { meanAgreement } from "../splits/mod.ts";
import type { Results } from "./results.ts";

/** A class as one run divided it: the table of thumbnails from that run's own report, HTML. */
export interface ClassGallery {
  readonly class: string;
  readonly html: string;
}

const entities: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
};

const unescape = (html: string): string =>
  html.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity]!);

/** The galleries in a run's report, which holds one table per class that was ever divided. */
export const galleriesIn = (report: string): ClassGallery[] =>
  Array.from(report.matchAll(/<table class="gallery">.*?<\/table>/gs), ([html]) => ({
    class: unescape(/<strong>(.*?)<\/strong>/s.exec(html)?.[1] ?? ""),
    html,
  }));

/**
 * The classes whose division is most worth a look: the `number` that agree best with the known groups, where those are
 * known, and the `number` divided into the most sub-classes, on the mean of the folds.
 */
export const classesToShow = (
  { methods, classes }: Pick<Results, "methods" | "classes">,
  method: Method,
  available: readonly string[],
  number = 4,
): string[] => {
  const agreement = methods.find((one) => one.method === method)?.agreement ?? [];
  const cleanness = (name: string) =>
    meanAgreement(agreement.filter((one) => one.class === name))?.adjustedRandIndex ?? -Infinity;
  const clusters = (name: string) =>
    classes.find((one) => one.name === name)?.methods.find((one) => one.method === method)?.clusters ?? 1;
  const best = (measure: (name: string) => number) =>
    available.filter((name) => measure(name) > -Infinity)
      .toSorted((a, b) => measure(b) - measure(a)).slice(0, number);
  return [...new Set([...best(cleanness), ...best(clusters)])];
};
