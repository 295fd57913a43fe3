import { expect } from "expect";
import { parse } from "csv-parse/sync";
import { paperRows, paperRowsFor } from "./paper.ts";
import { makeProgram } from "./program.ts";
import { renderReport } from "./report.tsx";
import { csvOf, markdownOf } from "./tables.ts";
import { plantedResults } from "./testing.ts";
import { verdictOf } from "./verdict.ts";

const classes = ["copepod", "detritus", "<b>&"];
const standard = [[4, 1, 0], [5, 1, 0], [4, 2, 0], [5, 1, 0], [4, 1, 0]];
const fewer = [[1, 1, 0], [2, 1, 0], [1, 2, 0], [2, 1, 0], [1, 1, 0]];
const mixed = [[5, 1, 0], [4, 1, 0], [4, 1, 0], [6, 1, 0], [4, 2, 0]];

Deno.test("figures of a method: means and deviations, seconds, sub-classes of the best epoch", () => {
  const { methods, classes: perClass } = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "clustering", missed: fewer, clusters: [3, 1, 1] },
  ]);
  const { summary, folds } = methods[1]!;
  // 30 images a fold, of which 2, 3, 3, 3, 2 are missed
  expect(summary.accuracy.mean).toBeCloseTo(1 - 13 / 150, 12);
  expect(summary.accuracy.deviation).toBeCloseTo(Math.sqrt(0.3) / 30, 12);
  expect(summary.perfectClasses).toEqual({ mean: 1, deviation: 0 });
  expect(summary.secondsPerEpoch).toEqual({ mean: 3.5, deviation: 0 });
  expect(summary.subclasses).toEqual({ mean: 5, deviation: 0 });
  expect(folds[0]!.classes[0]).toEqual({ support: 10, falseNegative: 0.1, clusters: 3 });
  expect(perClass[0]).toEqual({
    name: "copepod",
    images: 50,
    methods: [
      { method: "standard", falseNegative: expect.closeTo(0.44, 12), splitFolds: 0, clusters: 1 },
      { method: "clustering", falseNegative: expect.closeTo(0.14, 12), splitFolds: 5, clusters: 3 },
    ],
  });
});

Deno.test("classes may be called like what every object has", () => {
  const names = ["__proto__", "constructor", "10"];
  for (const clusters of [[3, 2, 4], undefined]) {
    const method = { method: "clustering" as const, missed: fewer, ...(clusters && { clusters }) };
    const { methods: [result] } = plantedResults(names, [method]);
    expect(result!.folds[0]!.classes.map((one) => one.clusters)).toEqual(clusters ?? [1, 1, 1]);
    expect(result!.folds[0]!.subclasses).toBe(clusters ? 9 : 3);
  }
});

Deno.test("the verdict: help, harm, nothing, and in which classes", () => {
  const says = (ours: number[][], theirs: number[][]) =>
    verdictOf(plantedResults(classes, [
      { method: "standard", missed: theirs },
      { method: "clustering", missed: ours, clusters: [3, 1, 1] },
    ]));
  const [inShort, helps, inClasses] = says(fewer, standard);
  expect(inShort).toBe(
    "Splitting classes helps here, by 2 of 2 tests: accuracy without triplets (+10.00 points, 97.5 % interval +10.00 to " +
      "+10.00) and macro F without triplets (+10.67 points, 97.5 % interval +9.98 to +11.36). Accuracy changes by +10.00 " +
      "± 0.00 points without triplets (97.5 % intervals: 95 % for the 2 tests together).",
  );
  expect(helps).toMatch(
    /^Splitting without triplets .* helps \(accuracy and macro F\): accuracy \+10\.00 ± 0\.00/,
  );
  expect(helps).toContain("better in 5 of 5 folds");
  expect(inClasses).toContain("lower in copepod (−30.0 points, split), in no class higher");
  // only copepod differs, and by 4 or 5 of 5 tosses of a coin in 6 of 32 cases
  expect(inClasses).toContain(
    "(in at least 4 of 5 folds; chance alone, in independent folds, would name some 0.2 of the 3 classes on either side)",
  );
  expect(inClasses).toContain("−30.0 points on the mean of the 1 class that was split");

  expect(says(standard, fewer)[0]).toMatch(
    /^Splitting classes hurts here, by 2 of 2 tests: accuracy .* Accuracy changes by −10/,
  );
  expect(says(standard, fewer)[1]).toContain("hurts (accuracy and macro F)");
  const [nothing, unclear, nowhere] = says(mixed, standard);
  expect(nothing).toContain("makes no difference that stands out from the spread over the folds here");
  expect(unclear).toContain("makes no difference that stands out from the spread over the folds");
  expect(nowhere).toContain("in no class lower, in no class higher (in at least 4 of 5 folds; ");
});

Deno.test("what one test alone would call a difference is none among several", () => {
  // 2, 1, 3, 2 and 1 images of 30 fewer are missed
  const ours = [[2, 1, 0], [4, 1, 0], [1, 2, 0], [3, 1, 0], [3, 1, 0]];
  const results = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "clustering", missed: ours, clusters: [3, 1, 1] },
  ]);
  const { accuracy, fScore } = results.comparisons[0]!.measures;
  expect([accuracy!.interval![0] > 0, fScore!.interval![0] > 0]).toEqual([true, true]);
  const [inShort, without] = verdictOf(results);
  expect(inShort).toMatch(
    /^Splitting classes makes no difference that stands out .*97\.5 % intervals: 95 % for the 2/,
  );
  expect(without).toContain("makes no difference that stands out");
});

Deno.test("the verdict where no class was split says so, and what allows more splits", () => {
  const unsplit = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "triplet", missed: standard },
    { method: "clustering", missed: standard },
    { method: "clustering+triplet", missed: standard },
  ], { settings: { criterion: "aic", epochs: 25 } });
  const verdict = verdictOf(unsplit);
  expect(verdict[0]).toBe(
    "No class was split in any fold, up to the epoch that is scored: this reproduction says nothing about splitting. " +
      "What allows more splits: more images per class, more --epochs (now 25), a lower --confusion-threshold (now 0.3), " +
      "a smaller --min-cluster-size (now 8) and --dimension nominal.",
  );
  expect(verdict.slice(1).every((one) => one.includes("says nothing about splitting"))).toBe(true);
  expect(verdict.join()).not.toContain("stands out");
  const flags = makeProgram(() => undefined).options.map(({ long }) => long);
  const named = verdict[0]!.match(/--[a-z-]+/g) ?? [];
  expect(named.filter((flag) => !flags.includes(flag))).toEqual([]);

  const one = plantedResults(classes, [
    { method: "standard", missed: [standard[0]!] },
    { method: "clustering", missed: [standard[0]!] },
  ]);
  expect(verdictOf(one)[0]).toMatch(/^No class was split in any fold, up to the epoch that is scored: /);
  expect(verdictOf(one)[0]).toContain("--criterion aic and --dimension nominal");

  const [inShort, nothing, without, withTriplets] = verdictOf(plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "triplet", missed: standard },
    { method: "clustering", missed: standard },
    { method: "clustering+triplet", missed: fewer, clusters: [3, 1, 1] },
  ]));
  expect(inShort).toBe(
    "Splitting classes helps here, by 2 of 4 tests: accuracy with triplets (+10.00 points, 98.75 % interval +10.00 to " +
      "+10.00) and macro F with triplets (+10.67 points, 98.75 % interval +9.81 to +11.52). Accuracy changes by +10.00 ± " +
      "0.00 points with triplets (98.75 % intervals: 95 % for the 4 tests together).",
  );
  expect(nothing).toMatch(
    /^No class was split in any fold by clustering, .* says nothing about splitting by it\. What/,
  );
  expect(without).toMatch(
    /^Splitting without triplets .* says nothing about splitting, as no class was split: /,
  );
  expect(withTriplets).toMatch(/^Splitting with triplets .* helps/);
});

Deno.test("the verdict of one fold, of methods that don't split, and of known groups", () => {
  const one = plantedResults(classes, [
    { method: "triplet", missed: [standard[0]!] },
    { method: "clustering+triplet", missed: [fewer[0]!], clusters: [2, 1, 1] },
  ]);
  expect(verdictOf(one)[0]).toMatch(/^Splitting with triplets .*One fold doesn't tell/);
  const none = plantedResults(classes, [{ method: "standard", missed: standard }]);
  expect(verdictOf(none)).toEqual([expect.stringContaining("Nothing can be said about splitting")]);

  const agreement = [0.2, 0.4].map((adjustedRandIndex, fold) => ({
    fold,
    class: "copepod",
    epoch: 1,
    subclasses: 3,
    groups: 3,
    images: 30,
    ungrouped: 1,
    adjustedRandIndex,
    normalisedMutualInformation: 0.5,
    purity: 0.8,
    purityUnsplit: 0.4,
  }));
  const grouped = plantedResults(classes, [
    { method: "standard", missed: standard.slice(0, 2) },
    { method: "clustering", missed: fewer.slice(0, 2), clusters: [3, 1, 1], agreement },
  ]);
  expect(verdictOf(grouped).at(-1)).toContain(
    "adjusted Rand index of 0.300 ± 0.141 over the folds (0 is chance, 1 is equal), purity 0.800 against 0.400",
  );
  expect(markdownOf(grouped)).toContain(
    "| clustering | 1 | copepod | 30 | 1 | 3 | 3 | 0.400 | 0.500 | 0.800 | 0.400 |",
  );
});

Deno.test("the tables: ours beside the paper's of the same network, in markdown and CSV", () => {
  const results = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "clustering+triplet", missed: fewer },
  ], { settings: { backbone: "resnet50" } });
  const markdown = markdownOf(results);
  expect(markdown).toContain(
    "| clustering+triplet | paper: diatoms, ResNet50 (Table 1) | 97.37 | 97.95 | 97.97 | 97.79 | 0.0059 | 0.0071 |  |",
  );
  expect(markdown).toContain("| standard | ours: planted, resnet50 | 81.33 ± ");
  expect(markdown).toContain("not for this one");
  expect(markdown).not.toContain("EfficientNet (");

  const rows = parse(csvOf(results), { columns: true }) as Record<string, string>[];
  const find = (source: string, method: string, measure: string) =>
    rows.filter((row) => row.source === source && row.method === method && row.measure === measure);
  expect(Number(find("ours", "standard", "accuracy")[0]!.mean)).toBe(
    results.methods[0]!.summary.accuracy.mean,
  );
  expect(find("paper", "gs-trs", "accuracy").map((row) => row.mean)).toEqual(["0.9323", "0.8753"]);
  expect(find("paper", "standard", "falsePositiveVariance").map((row) => row.mean)).toEqual([
    "0.049",
    "0.136",
  ]);
});

Deno.test("settings are those that the runs were trained with, and what differs is told by method", () => {
  const results = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "clustering", missed: fewer },
  ]);
  expect(results.settings).toMatchObject({ imageSize: 64, learningRate: 1e-3, clusterer: "xmeans" });
  expect(markdownOf(results)).toMatch(/^# planted: .*, 64 px; classes divided by xmeans; /);
  expect(results.version).toMatch(/^\d+\.\d+\.\d+$/);
  const page = renderReport(results, []);
  for (const [name, value] of [["imageSize", "64"], ["clusterer of clustering", "xmeans · 0.1.0"]]) {
    expect(page).toContain(`<th scope="row">${name}</th><td class="">${value}</td>`);
  }
  expect(page).not.toContain("clusterer of standard");

  const two = plantedResults(classes, [
    { method: "clustering", missed: fewer },
    { method: "gs-trs", missed: fewer },
  ]);
  expect(two.settings.clusterer).toBeUndefined();
  expect(two.methods.map(({ settings, clusterer }) => [settings?.clusterer, clusterer?.name]))
    .toEqual([["xmeans", "xmeans"], ["kmeans", "kmeans"]]);
});

Deno.test("all rows of the paper's two tables are there", () => {
  expect(paperRows.length).toBe(20);
  expect(
    new Set(paperRows.map(({ table, architecture, method }) => `${table} ${architecture} ${method}`)).size,
  )
    .toBe(20);
  // in every group of the paper, "ours" is printed in bold for accuracy: the highest of five
  for (
    const ofGroup of Map.groupBy(paperRows, ({ table, architecture }) => `${table}${architecture}`).values()
  ) {
    const best = ofGroup.toSorted((a, b) => b.accuracy - a.accuracy)[0]!;
    expect(best.method).toBe("clustering+triplet");
  }
  expect(paperRowsFor("efficientnet-b0").every(({ architecture }) => architecture === "EfficientNet")).toBe(
    true,
  );
  expect(paperRowsFor("small").length).toBe(20);
  // fractions, as all figures that are not shown to people
  expect(paperRows[3]).toMatchObject({ accuracy: 0.9737, recall: 0.9795, precision: 0.9797, fScore: 0.9779 });
  for (const row of paperRows) {
    const rates = [row.accuracy, row.recall, row.precision, row.fScore];
    expect(rates.every((rate) => rate > 0.5 && rate < 1)).toBe(true);
  }
});

Deno.test("the page needs nothing from elsewhere, escapes names, and leaves classes without misses out of Figure 3", () => {
  const results = plantedResults(classes, [
    { method: "standard", missed: standard },
    { method: "clustering", missed: fewer, clusters: [3, 1, 1] },
  ], { missing: [{ method: "gs-trs", state: "failed", id: "r9", message: "out of memory" }] });
  const page = renderReport(results, [{
    method: "clustering",
    report: "reports/clustering.html",
    shown: [{ class: "copepod", html: '<table class="gallery"><tr><td>thumbnails</td></tr></table>' }],
    available: 1,
  }]);
  expect(page).toContain('<table class="gallery"><tr><td>thumbnails</td></tr></table>');
  expect(page).toContain("run r9 has failed: out of memory; --retry starts it anew");
  expect(page).not.toContain("<b>");
  expect(page).toContain("&lt;b&gt;&amp;");
  expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  const figure = /<svg.*?<\/svg>/s.exec(page)![0];
  expect(figure).toContain("copepod, standard: 44.0 %");
  expect(figure).toContain("copepod, clustering: 14.0 %");
  expect(figure).not.toContain("&lt;b&gt;");
  expect(page).toContain("1 of 3 classes without a false negative");
});
