import { expect } from "expect";
import fc from "fast-check";
import type { Event, Method } from "@subtaxa/contracts";
import { runLog } from "@subtaxa/runs";
import { syntheticRun } from "@subtaxa/runs/testing";
import { type DataUri, type Gallery, renderReport, type ReportInput, thumbnail } from "./mod.ts";

const pixel: DataUri = await thumbnail(Uint8Array.of(0, 90, 180, 255), 2, 1);
const classes = ["copepod", "diatom", "detritus", "fish egg"];
const inputOf = (events: readonly Event[], galleries: readonly Gallery[] = []): ReportInput => {
  const log = runLog(events);
  return {
    log,
    training: log.folds.map(({ fold }) => ({
      fold,
      images: log.spec.classes.map((_, i) => 100 + 10 * i + fold),
    })),
    galleries,
    generatedAt: "2026-01-05T12:00:00.000Z",
  };
};
const reportOf = (events: readonly Event[], galleries?: readonly Gallery[]) =>
  renderReport(inputOf(events, galleries));

const section = (html: string, id: string) => html.split(`<section id="${id}"`)[1]!.split("</section>")[0]!;
const exact = (html: string) =>
  [...html.matchAll(/<data value="([^"]*)">/g)].map(([, value]) => Number(value));
const rowsOf = (html: string) => html.split("<tbody>")[1]!.split("</tbody>")[0]!.split("<tr").slice(1);

const gallery: Gallery = {
  class: "copepod",
  fold: 0,
  epoch: 2,
  subclasses: [
    { id: 0, size: 60, thumbnails: [{ source: pixel, image: "copepod/side.png" }] },
    { id: 3, size: 40, thumbnails: [{ source: pixel, image: "copepod/top.png" }] },
  ],
};

Deno.test("the epoch table holds the log's figures, exactly", () => {
  const events = syntheticRun({ classes, epochs: 6, folds: 2, seed: 4 });
  const rows = rowsOf(section(reportOf(events), "log"));
  const of = (type: Event["type"], fold: number, epoch: number) =>
    events.find((event) =>
      event.type === type && "fold" in event && event.fold === fold && event.epoch === epoch
    );
  let row = 0;
  for (const fold of [0, 1]) {
    for (let epoch = 1; epoch <= 6; epoch++) {
      const trained = of("epoch.trained", fold, epoch), validated = of("epoch.validated", fold, epoch);
      const relabelled = of("dataset.relabelled", fold, epoch);
      if (trained?.type !== "epoch.trained" || validated?.type !== "epoch.validated") break;
      const { training } = trained, { metrics } = validated;
      const after = relabelled?.type === "dataset.relabelled" ? relabelled : undefined;
      expect(exact(rows[row]!)).toEqual([
        training.loss,
        training.crossEntropy,
        training.triplet,
        training.activeTriplets,
        training.positiveDistance,
        training.negativeDistance,
        validated.loss,
        metrics.accuracy,
        metrics.fScore,
        metrics.falseNegativeVariance,
        metrics.falsePositiveVariance,
        metrics.perfectClasses,
        training.seconds,
        training.subclasses,
        ...(after ? [after.agreement] : []),
      ]);
      for (const { class: name, from, to } of after?.changes ?? []) {
        expect(rows[row]).toContain(`${name} ${from} → ${to}`);
      }
      row++;
    }
  }
  expect(rows).toHaveLength(row);
});

Deno.test("results are those of the folds, with mean and standard deviation", () => {
  const events = syntheticRun({ classes, epochs: 3, folds: 3, seed: 8 });
  const metrics = events.filter((event) => event.type === "fold.completed")
    .toSorted((a, b) => a.fold - b.fold).map((event) => event.metrics);
  const rows = rowsOf(section(reportOf(events), "results"));
  for (const [row, name] of [[0, "accuracy"], [4, "falseNegativeVariance"], [8, "perfectClasses"]] as const) {
    const [mean, deviation, ...folds] = exact(rows[row]!);
    const values = metrics.map((one) => one[name]);
    expect(folds).toEqual(values);
    const centre = values.reduce((a, b) => a + b) / 3;
    expect(mean).toBeCloseTo(centre, 12);
    const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
    expect(deviation).toBeCloseTo(Math.sqrt(squares / 2), 12);
  }
});

Deno.test("counts, class scores and training sizes are those of the held-out confusion matrices", () => {
  const events = syntheticRun({ classes, epochs: 3, folds: 2, seed: 8 });
  const matrices = events.filter((event) => event.type === "fold.completed").map((event) => event.confusion);
  const total = classes.map((_, i) => classes.map((_, j) => matrices.reduce((sum, m) => sum + m[i]![j]!, 0)));
  const html = reportOf(events);
  const counts = section(html, "confusion").split("<details")[1]!;
  const cells = rowsOf(counts).map((row) =>
    [...row.matchAll(/>(\d+)<\/td>/g)].map(([, count]) => Number(count))
  );
  expect(cells).toEqual(total);
  for (const [i, row] of rowsOf(section(html, "classes")).entries()) {
    const [least, most, images, precision, recall, fScore, missed] = exact(row);
    expect([least, most]).toEqual([100 + 10 * i, 101 + 10 * i]);
    const support = total[i]!.reduce((a, b) => a + b);
    const predicted = total.reduce((sum, other) => sum + other[i]!, 0);
    expect(images).toBe(support);
    expect(precision).toBeCloseTo(total[i]![i]! / predicted, 12);
    expect(recall).toBeCloseTo(total[i]![i]! / support, 12);
    expect(fScore).toBeCloseTo(2 / (1 / precision! + 1 / recall!), 12);
    expect(missed).toBeCloseTo(1 - recall!, 12);
  }
});

Deno.test("whose sub-classes they are: one version, two that took turns, or one that doesn't say", () => {
  const events = syntheticRun({ classes, epochs: 4, seed: 4, parameters: { restarts: 4 } });
  const by = (versionAt: (epoch: number) => string | undefined) =>
    reportOf(events.map((event) => {
      if (event.type !== "dataset.relabelled") return event;
      const { clusterer: _, ...rest } = event;
      const version = versionAt(event.epoch);
      return version === undefined ? rest : { ...rest, clusterer: { name: "xmeans", version } };
    }));
  const clusterer = (html: string) => /<dt>Clusterer<\/dt><dd>([^<]*)</.exec(html)?.[1];
  const lasts = (html: string) =>
    rowsOf(section(html, "log")).map((row) => /<td>([^<]*)<\/td><\/tr>/.exec(row)?.[1]);
  const mixed = by((epoch) => epoch > 2 ? "2.0.0" : "1.0.0");
  expect(clusterer(mixed)).toBe("xmeans, version 1.0.0 and 2.0.0");
  expect(lasts(mixed)).toEqual(["1.0.0", "1.0.0", "2.0.0", "–"]); // nothing is relabelled after the last
  expect(section(mixed, "settings")).toContain("{&quot;restarts&quot;:4}");
  const one = by(() => "1.0.0");
  expect(clusterer(one)).toBe("xmeans, version 1.0.0");
  expect(section(one, "log")).not.toContain("by version");
  expect(clusterer(by(() => undefined))).toBe("xmeans, version unknown");
  const half = by((epoch) => epoch > 2 ? "2.0.0" : undefined);
  expect(lasts(half)).toEqual(["unknown", "unknown", "2.0.0", "–"]);
  expect(clusterer(reportOf(syntheticRun({ classes, epochs: 2, method: "triplet" })))).toBeUndefined();
});

Deno.test("class by class: false negatives and clusters of every epoch, with the limit that was in force", () => {
  const events = syntheticRun({ classes, epochs: 5, seed: 4, patience: 9 });
  const rows = rowsOf(section(reportOf(events), "epochs"));
  for (const i of classes.keys()) {
    const missed = events.filter((event) => event.type === "epoch.validated")
      .map((event) => `${(100 * event.falseNegatives[i]!).toFixed(0)}\u00a0%`);
    const clusters = events.filter((event) => event.type === "epoch.trained")
      .map(({ state }) => `${state.classes[i]!.clusters}/${state.classes[i]!.allowedClusters}`);
    expect(rows[i]).toContain(`per epoch: ${missed.join(", ")}`);
    expect(rows[i]).toContain(`found of allowed, per epoch: ${clusters.join(", ")}`);
  }
});

Deno.test("a gallery shows each sub-class with its images", () => {
  const html = section(reportOf(syntheticRun({ classes, epochs: 3, seed: 4 }), [gallery]), "subclasses");
  expect(html).toContain("copepod/3");
  expect(exact(html)).toEqual([2, 100, 60, 40]);
  expect(html).toMatch(
    new RegExp(`<img src="${pixel.replaceAll("+", "\\+")}" alt="copepod/side.png, number 1`),
  );
  const without = reportOf(syntheticRun({ classes, epochs: 3, seed: 4, method: "triplet" }));
  expect(without).not.toContain('id="subclasses"');
});

Deno.test("nothing is loaded from elsewhere", () => {
  const html = reportOf(syntheticRun({ classes, epochs: 3, seed: 4 }), [gallery]);
  expect(html).not.toMatch(/https?:|url\(|@import|<script|<link|<iframe/i);
  const references = [...html.matchAll(/\b(?:src|href|srcset|action|poster)="([^"]*)"/g)].map(([, to]) =>
    to!
  );
  expect(references.length).toBeGreaterThan(5);
  for (const to of references) expect(to).toMatch(/^(#|data:image\/png;base64,)/);
  for (const [, target] of html.matchAll(/href="#([^"]*)"/g)) expect(html).toContain(`id="${target}"`);
});

Deno.test("hostile names are only ever text", () => {
  const names = ['<script>alert("1")</script>', '"><img src=x onerror=alert(2)>', "a & b's", "__proto__"];
  const html = reportOf(syntheticRun({ classes: names, epochs: 4, seed: 2, folds: 2 }), [{
    ...gallery,
    class: names[0]!,
    subclasses: [{ id: 0, size: 1, thumbnails: [{ source: pixel, image: names[1]! }] }],
  }]);
  expect(html).not.toMatch(/<script|<img src=x/i);
  expect(html).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
  expect(html).toContain("a &amp; b&#39;s");
});

const runs = fc.record({
  method: fc.constantFrom<Method>("standard", "triplet", "clustering", "clustering+triplet"),
  folds: fc.integer({ min: 1, max: 3 }),
  epochs: fc.integer({ min: 1, max: 7 }),
  seed: fc.nat(1000),
  support: fc.integer({ min: 1, max: 30 }),
  names: fc.integer({ min: 2, max: 40 }),
  cut: fc.nat(),
});

Deno.test("any log gives a whole report: unfinished, tiny, or with empty classes", () => {
  fc.assert(
    fc.property(runs, ({ names, cut, ...run }) => {
      const events = syntheticRun({ ...run, classes: Array.from({ length: names }, (_, i) => `class ${i}`) });
      const html = reportOf(events.slice(0, 1 + cut % events.length), [gallery]);
      expect(html).not.toMatch(/NaN|undefined|Infinity|\[object|null/);
      expect(html.trimEnd().endsWith("</html>")).toBe(true);
    }),
    { numRuns: 40 },
  );
});

Deno.test("two classes or 166: every class is named in the matrix, and the page stays small", () => {
  for (const count of [2, 14, 40, 100, 166]) {
    const names = Array.from({ length: count }, (_, i) => `species ${i}`);
    const html = reportOf(syntheticRun({ classes: names, epochs: 2, seed: 1 }));
    const matrix = section(html, "confusion");
    for (const name of names) expect(matrix).toContain(`<title>${name}</title>`);
    expect(html.length).toBeLessThan(2_000_000);
  }
});

Deno.test("a failed run says why", () => {
  const events = syntheticRun({ classes, epochs: 3, seed: 1 }).slice(0, 6);
  const error = { tag: "E/Disk", message: "the disk is full" };
  const html = reportOf([...events, {
    type: "run.failed",
    v: 1,
    at: "2026-01-05T10:00:00Z",
    runId: "made-up",
    error,
  }]);
  expect(html).toContain("failed: the disk is full");
  expect(html).toContain("No fold has been scored");
});

Deno.test("the same input gives the same bytes", () => {
  const input = inputOf(syntheticRun({ classes, epochs: 3, seed: 1 }), [gallery]);
  expect(renderReport(input)).toBe(renderReport(structuredClone(input)));
});
