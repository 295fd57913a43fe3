/** @jsxImportSource hono/jsx */
import { usesClustering } from "@subtaxa/contracts";
import { addConfusions } from "@subtaxa/metrics";
import { raw } from "hono/html";
import { ClassSection } from "./classes.tsx";
import { ConfusionSection } from "./confusion.tsx";
import { Curves } from "./curves.tsx";
import { EpochTable } from "./epoch_table.tsx";
import { Galleries } from "./galleries.tsx";
import type { ReportInput } from "./input.ts";
import { OverEpochs } from "./over_epochs.tsx";
import { style } from "./style.ts";
import { Header, isScored, Results, Settings } from "./summary.tsx";

const Page = ({ log, training, galleries, generatedAt }: ReportInput) => {
  const { spec } = log;
  const folds = log.folds.filter(isScored);
  const counts = addConfusions(folds.map(({ completed }) => completed.confusion));
  const scored = folds.length > 0;
  const clusters = usesClustering(spec.method);
  const contents: [string, string][] = [
    ["results", "Results"],
    ...(scored ? [["confusion", "Confusion"], ["classes", "Classes"]] as [string, string][] : []),
    ["training", "Training"],
    ["epochs", "Class by class"],
    ...(clusters ? [["subclasses", "Sub-classes"]] as [string, string][] : []),
    ["log", "Epoch by epoch"],
    ["settings", "Settings"],
  ];
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${spec.dataset}, run ${log.id}: Subtaxa report`}</title>
        <style>{raw(style)}</style>
      </head>
      <body>
        <Header log={log} folds={folds} generatedAt={generatedAt} />
        <nav aria-label="contents">
          <ul>
            {contents.map(([id, title]) => (
              <li>
                <a href={`#${id}`}>{title}</a>
              </li>
            ))}
          </ul>
        </nav>
        <main>
          <Results folds={folds} classes={spec.classes.length} />
          {scored && (
            <>
              <ConfusionSection classes={spec.classes} counts={counts} folds={folds.length} />
              <ClassSection classes={spec.classes} counts={counts} training={training} />
            </>
          )}
          <Curves log={log} />
          <OverEpochs log={log} />
          {clusters && <Galleries log={log} galleries={galleries} />}
          <EpochTable log={log} />
          <Settings log={log} />
        </main>
        <footer>
          Made from the run's event log alone. Each figure carries its exact value (<code>data</code>{" "}
          elements), so that it can be compared with the log.
        </footer>
      </body>
    </html>
  );
};

/**
 * One HTML file that needs nothing from elsewhere: it works from a disk, prints, and follows the reader's light or dark
 * setting. The same input gives the same bytes.
 */
export const renderReport = (input: ReportInput): string =>
  `<!doctype html>\n${(<Page {...input} />).toString()}\n`;
