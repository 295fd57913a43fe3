import { type Method, usesClustering } from "@subtaxa/contracts";
import { Effect } from "effect";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CliError, saveReport, type Target } from "../cli/mod.ts";
import { ReproduceError } from "./error.ts";
import { classesToShow, galleriesIn } from "./galleries.ts";
import { paperRowsFor, reference } from "./paper.ts";
import { type Galleries, renderReport } from "./report.tsx";
import type { Results } from "./results.ts";
import { csvOf, markdownOf } from "./tables.ts";
import { verdictOf } from "./verdict.ts";

const onDisk = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, ReproduceError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new ReproduceError({
        reason: { _tag: "NotWritable", path },
        message: `${path} can't be written (${cause instanceof Error ? cause.message : cause})`,
      }),
  });

/** Saves the report of a run beside the page, and takes the galleries from it. */
const galleriesOf = (
  target: Target,
  out: string,
  results: Results,
  { method, id }: { readonly method: Method; readonly id: string },
): Effect.Effect<Galleries, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const report = `reports/${method}.html`;
    const path = join(out, report);
    yield* saveReport(target, id, path);
    const galleries = usesClustering(method)
      ? galleriesIn(yield* onDisk(path, () => readFile(path, "utf8")))
      : [];
    const names = classesToShow(results, method, galleries.map((gallery) => gallery.class));
    const shown = names.flatMap((name) => galleries.find((gallery) => gallery.class === name) ?? []);
    return { method, report, shown, available: galleries.length };
  });

/** Writes the page, the tables, the figures as JSON, and every run's own report; returns the page's path. */
export const writeResults = (
  target: Target,
  out: string,
  results: Results,
): Effect.Effect<string, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const folder = join(out, "reports");
    yield* onDisk(folder, () => mkdir(folder, { recursive: true }));
    const galleries = yield* Effect.forEach(
      results.methods,
      (result) => galleriesOf(target, out, results, result),
    );
    const paper = { reference, rows: paperRowsFor(results.settings.backbone) };
    const files = {
      "report.html": renderReport(results, galleries.filter(({ method }) => usesClustering(method))),
      "table.md": markdownOf(results),
      "table.csv": csvOf(results),
      "results.json": `${JSON.stringify({ verdict: verdictOf(results), ...results, paper }, null, 2)}\n`,
    };
    for (const [name, text] of Object.entries(files)) {
      yield* onDisk(join(out, name), () => writeFile(join(out, name), text));
    }
    return join(out, "report.html");
  });
