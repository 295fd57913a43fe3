/** @jsxImportSource hono/jsx */
import type { Method } from "@subtaxa/contracts";
import { raw } from "hono/html";
import type { PropsWithChildren } from "hono/jsx";
import { Figure3 } from "./figure3.tsx";
import type { ClassGallery } from "./galleries.ts";
import { reference } from "./paper.ts";
import type { MethodResult, Results } from "./results.ts";
import { describeOutcome } from "./runs.ts";
import { style } from "./style.ts";
import {
  agreementTable,
  besideTable,
  type Cells,
  classTable,
  conditions,
  differenceNote,
  differenceTable,
  meansNote,
  ownTable,
  paperNote,
} from "./tables.ts";
import { verdictOf } from "./verdict.ts";

/** What the page shows besides the results. */
export interface Galleries {
  readonly method: Method;
  /** The run's own report, relative to the page. */
  readonly report: string;
  readonly shown: readonly ClassGallery[];
  /** How many classes were ever divided. */
  readonly available: number;
}

const Section = ({ title, note, children }: PropsWithChildren<{ title: string; note?: string }>) => (
  <section>
    <h2>{title}</h2>
    {note && <p class="note">{note}</p>}
    {children}
  </section>
);

/** A figure, the dash that stands for none, or nothing. */
const isNumber = (cell: string): boolean => /^([+−-]?\d|–$|$)/.test(cell);

const Table = ({ label, cells: [head = [], ...rows] }: { label: string; cells: Cells }) => {
  const kinds = head.map((_, i) => rows.every((row) => isNumber(row[i] ?? "")) ? "number" : "");
  return (
    <div class="scroll" role="region" tabindex={0} aria-label={label}>
      <table>
        <thead>
          <tr>{head.map((name, i) => <th scope="col" class={kinds[i]!}>{name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map(([first, ...cells]) => (
            <tr>
              <th scope="row">{first}</th>
              {cells.map((cell, i) => <td class={kinds[i + 1]!}>{cell}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
};

const Figure2 = ({ galleries }: { galleries: readonly Galleries[] }) => (
  <Section
    title="Figure 2: sub-classes"
    note={"Of each method that splits: the classes that agree best with known groups where those are given, and those " +
      "split into the most sub-classes. Each row is one sub-class with the training images nearest to its centre."}
  >
    {galleries.map(({ method, report, shown, available }) => (
      <>
        <h3>{method}</h3>
        {shown.length === 0 ? <p>No class was split.</p> : (
          <p class="note">
            {shown.length} of {available} classes that were ever split; all are in the{" "}
            <a href={report}>report of the run</a>.
          </p>
        )}
        {shown.map(({ html }) => raw(html))}
      </>
    ))}
  </Section>
);

/** Its versions, and the parameters of its own where there are any. */
const clustererOf = ({ name, versions, parameters }: NonNullable<MethodResult["clusterer"]>): string =>
  [
    name,
    versions.length > 0 ? versions.join(", ") : "has not relabelled",
    ...Object.keys(parameters).length > 0 ? [JSON.stringify(parameters)] : [],
  ].join(" · ");

const Page = ({ results, galleries }: { results: Results; galleries: readonly Galleries[] }) => {
  const { comparisons, methods, missing, generatedAt, settings, trainers, version } = results;
  const grouped = methods.some(({ agreement }) => agreement.length > 0);
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${results.dataset.name}: the methods compared`}</title>
        <style>{raw(style)}</style>
      </head>
      <body>
        <h1>Splitting classes on {results.dataset.name}</h1>
        <p class="note">
          {conditions(results)}. {new Date(generatedAt).toISOString().slice(0, 16).replace("T", " ")} UTC.
        </p>
        <div class="verdict">{verdictOf(results).map((sentence) => <p>{sentence}</p>)}</div>
        {missing.map((outcome) => <p>No result for {outcome.method}: {describeOutcome(outcome)}.</p>)}

        <Section
          title="Results"
          note={`${meansNote}. Seconds are those of training alone, without validation and clustering, with ` +
            `${trainers} trainer${trainers === 1 ? "" : "s"}; sub-classes are counted at the best epoch.`}
        >
          <Table label="Results" cells={ownTable(results)} />
        </Section>
        <Section title="Beside the paper's" note={paperNote}>
          <Table label="Ours and the paper's" cells={besideTable(results)} />
          <p class="note">{reference}.</p>
        </Section>
        {comparisons.length > 0 && (
          <Section title="Paired differences" note={differenceNote}>
            <Table label="Paired differences" cells={differenceTable(comparisons)} />
          </Section>
        )}
        <Section
          title="Figure 3: false negatives per class"
          note="Mean over the folds of the share of a class's held-out images that was missed, overlaid as in the paper."
        >
          <Figure3 results={results} />
        </Section>
        <Section
          title="Class by class"
          note={"False negatives (FN): mean over the folds. Split: in how many folds' best epochs, and the mean number of " +
            "sub-classes over all folds."}
        >
          <Table label="Class by class" cells={classTable(results)} />
        </Section>
        <Figure2 galleries={galleries} />
        {grouped && (
          <Section
            title="Sub-classes and known groups"
            note={"Training images of each fold's best epoch. A class with a single known group says little: any split of " +
              "it has an adjusted Rand index of 0."}
          >
            <Table label="Agreement with known groups" cells={agreementTable(results)} />
          </Section>
        )}
        <Section title="Settings">
          <Table
            label="Settings"
            cells={[
              ["setting", "value"],
              ...Object.entries(settings).map(([name, value]) => [
                name,
                typeof value === "object" ? JSON.stringify(value) : String(value),
              ]),
              ...methods.flatMap(({ method, clusterer }) =>
                clusterer ? [[`clusterer of ${method}`, clustererOf(clusterer)]] : []
              ),
              ...methods.map(({ method, id }) => [`run of ${method}`, id]),
              ["Subtaxa", version],
            ]}
          />
        </Section>
      </body>
    </html>
  );
};

/** One HTML file that needs nothing from elsewhere; only its links to the runs' own reports lead outside. */
export const renderReport = (results: Results, galleries: readonly Galleries[]): string =>
  `<!doctype html>\n${(<Page results={results} galleries={galleries} />).toString()}\n`;
