import { Effect, type Scope } from "effect";
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { DatasetRequest, RunRequest } from "@subtaxa/contracts";
import { type CliError, dataFolder, exitCode, requestOf, table, type Target, userPath } from "../cli/mod.ts";
import { servicesOf, type StackError, startOwnStack } from "../stack/mod.ts";
import { collect } from "./collect.ts";
import { ensureDataset, type Imported, type Named, namedDataset, requireGroups } from "./dataset.ts";
import { ReproduceError } from "./error.ts";
import { openLedger } from "./ledger.ts";
import { allMethods, folderNameOf, type Plan, runsAtOnce, Settings } from "./plan.ts";
import { resultsOf } from "./results.ts";
import { completedBefore, describeOutcome, type Outcome, runMethods } from "./runs.ts";
import { ownTable } from "./tables.ts";
import { verdictOf } from "./verdict.ts";
import { writeResults } from "./write.ts";

/** Names that aren't files. */
const publishedWeights = ["random", "imagenet"];

/** The weights as the gateway shall find them: a file is meant from where the user is. */
const weightsOf = (
  { fields, target }: Plan,
): Effect.Effect<string | undefined, ReproduceError> =>
  Effect.gen(function* () {
    const given = fields.weights;
    if (typeof given !== "string" || publishedWeights.includes(given)) return undefined;
    const file = userPath(given);
    if (yield* Effect.promise(() => stat(file).then((info) => info.isFile(), () => false))) return file;
    if (target) return given; // a path on the gateway's machine
    return yield* new ReproduceError({
      reason: { _tag: "NoWeights", file },
      message: `--weights: there is no file ${file}, nor are "${given}" weights that can be fetched ` +
        `(${publishedWeights.join(", ")})`,
    });
  });

interface Installation {
  readonly target: Target;
  /** Fails when a service that was started here is given up. */
  readonly failed: Effect.Effect<never, StackError>;
}

/** The gateway that was named, or that of an own stack, which goes on where a killed one was. */
const installationOf = (
  { target, trainers }: Plan,
  roots: readonly string[],
): Effect.Effect<Installation, StackError, Scope.Scope> =>
  Effect.gen(function* () {
    if (target) return { target, failed: Effect.never };
    const stack = yield* startOwnStack({
      dataFolder: resolve(dataFolder(), "reproduce"),
      services: servicesOf({ trainer: trainers }),
      env: {
        SUBTAXA_DATA_ROOTS: [Deno.env.get("SUBTAXA_DATA_ROOTS") || ".:../shared", ...roots].join(":"),
      },
      log: console.log,
    });
    yield* stack.ready;
    console.log(`live page: ${stack.url}/`);
    return { target: { url: stack.url }, failed: stack.failed };
  });

/** The settings of all runs, checked before anything is started. */
const settingsOf = (
  { fields, imports }: Plan,
  { name, folder }: Named,
  weights: string | undefined,
): Effect.Effect<Settings, CliError> =>
  Effect.gen(function* () {
    yield* requestOf(DatasetRequest, { ...imports, name, path: folder ?? name });
    const given = { ...fields, dataset: name, ...(weights === undefined ? {} : { weights }) };
    return Settings.parse(yield* requestOf(RunRequest, given));
  });

const nothingCompleted = (outcomes: readonly Outcome[]) =>
  new ReproduceError({
    reason: { _tag: "NothingCompleted" },
    message: ["no method has a result:", ...outcomes.map((one) => `  ${one.method}: ${describeOutcome(one)}`)]
      .join("\n"),
  });

/** Collects what the runs left behind, writes it, and tells it in short; the exit code. */
const conclude = (
  plan: Plan,
  outcomes: readonly Outcome[],
  { target, settings, imported, out }: {
    readonly target: Target;
    readonly settings: Settings;
    readonly imported: Imported;
    readonly out: string;
  },
): Effect.Effect<number, CliError | ReproduceError> =>
  Effect.gen(function* () {
    const completed = outcomes.filter((outcome) => outcome.state === "completed");
    if (completed.length === 0) return yield* nothingCompleted(outcomes);
    const missing = outcomes.filter((outcome) => outcome.state !== "completed");
    const results = resultsOf(yield* Effect.forEach(completed, (one) => collect(target, one, plan.groups)), {
      generatedAt: new Date().toISOString(),
      settings,
      trainers: plan.trainers,
      ...imported,
      missing,
    });
    const page = yield* writeResults(target, out, results);
    const [head = [], ...rows] = ownTable(results);
    console.log(`\n${table(head, rows)}\n\n${verdictOf(results).join("\n")}\n`);
    for (const one of missing) console.error(`${one.method}: ${describeOutcome(one)}`);
    console.log(`report: ${page}; tables: ${join(out, "table.md")}, table.csv, results.json`);
    return missing.length === 0 ? exitCode.ok : exitCode.failed;
  });

/** Runs what is missing and writes the results; the exit code tells whether every method has one. */
export const reproduce = (plan: Plan): Effect.Effect<number, CliError | StackError | ReproduceError> =>
  Effect.scoped(Effect.gen(function* () {
    const named = yield* namedDataset(plan.dataset);
    yield* requireGroups(named, plan.groups);
    const weights = yield* weightsOf(plan);
    const settings = yield* settingsOf(plan, named, weights);
    const out = plan.out === undefined
      ? resolve(dataFolder(), "reproduced", folderNameOf(settings))
      : userPath(plan.out);
    const ledger = yield* openLedger(out, settings);
    const roots = [...named.folder === undefined ? [] : [named.folder], ...weights ? [dirname(weights)] : []];
    const { target, failed } = yield* installationOf(plan, roots);
    const work = Effect.gen(function* () {
      const imported = yield* ensureDataset(target, named, {
        again: plan.importAgain,
        imports: plan.imports,
        imageSize: settings.imageSize,
      });
      yield* ledger.tie(imported.importedAt, plan.importAgain);
      console.log(`results: ${out}\n`);
      const asked = yield* runMethods(plan.methods, {
        target,
        settings,
        importedAt: imported.importedAt,
        ledger,
        retry: plan.retry,
        atOnce: runsAtOnce(plan.trainers, settings.folds),
      });
      const others = allMethods.filter((method) => !plan.methods.includes(method));
      const outcomes = [...asked, ...yield* completedBefore(others, { target, ledger })]
        .toSorted((a, b) => allMethods.indexOf(a.method) - allMethods.indexOf(b.method));
      return yield* conclude(plan, outcomes, { target, settings, imported, out });
    });
    return yield* Effect.raceFirst(work, failed);
  })).pipe(
    Effect.onInterrupt(() => Effect.sync(() => console.error("the same command goes on from here"))),
  );
