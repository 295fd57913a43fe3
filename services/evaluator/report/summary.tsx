/** @jsxImportSource hono/jsx */
import { type Metrics, type RunSpec, usesClustering } from "@subtaxa/contracts";
import { falseNegativesOf, summariseFolds } from "@subtaxa/metrics";
import { clustererVersionsOf, type LoggedFold, type RunLog } from "@subtaxa/runs";
import { Heads, Section, Table, Time, Value } from "./elements.tsx";
import { count, duration, fixed, percent, plural, variance } from "./format.ts";
import { bestEpochOf } from "./gallery.ts";

export type ScoredFold = LoggedFold & { readonly completed: NonNullable<LoggedFold["completed"]> };
export const isScored = (fold: LoggedFold): fold is ScoredFold => fold.completed !== undefined;

const one = (value: number) => Number.isInteger(value) ? count(value) : fixed(value, 1);

const rows: readonly [keyof Metrics, string, (value: number) => string, string][] = [
  ["accuracy", "Accuracy", percent, "images recognised, of all"],
  [
    "precision",
    "Precision",
    percent,
    "of the images given to a class, those that belong to it; mean over the classes",
  ],
  ["recall", "Recall", percent, "of a class's images, those recognised; mean over the classes"],
  ["fScore", "F-score", percent, "harmonic mean of precision and recall; mean over the classes"],
  [
    "falseNegativeVariance",
    "False-negative variance",
    variance,
    "how unevenly classes are missed; 0: all alike",
  ],
  [
    "falsePositiveVariance",
    "False-positive variance",
    variance,
    "how unevenly classes attract others' images: sums of the other classes' shares",
  ],
  [
    "falsePositiveRateVariance",
    "… of the false-positive rates",
    (value) => value.toPrecision(3),
    "the same, over wrong images of a class as a share of all images of other classes",
  ],
  [
    "falseDiscoveryRateVariance",
    "… of the false-discovery rates",
    variance,
    "the same, over wrong images of a class as a share of all given to it",
  ],
  ["perfectClasses", "Perfect classes", one, "classes without a missed image"],
];

const mainMetrics: (keyof Metrics)[] = [
  "accuracy",
  "fScore",
  "falseNegativeVariance",
  "falsePositiveVariance",
  "perfectClasses",
];

const Tile = ({ name, mean, of, deviation, as }: {
  name: string;
  mean: number;
  of: number | undefined;
  deviation: number | undefined;
  as: (value: number) => string;
}) => (
  <div class="tile">
    <dt>{name}</dt>
    <dd>
      <Value of={mean} as={as} />
      {of !== undefined && ` of ${count(of)}`}
      {deviation !== undefined && (
        <small>
          ± <Value of={deviation} as={as} />
        </small>
      )}
    </dd>
  </div>
);

/** Held-out metrics: the figures that count, then all of them, by fold where there are several. */
export const Results = ({ folds, classes }: { folds: readonly ScoredFold[]; classes: number }) => {
  if (folds.length === 0) {
    return (
      <Section id="results" title="Results">
        <p>No fold has been scored on its held-out images.</p>
      </Section>
    );
  }
  const { mean, deviation } = summariseFolds(folds.map(({ completed }) => completed.metrics));
  const tiles = rows.filter(([key]) => mainMetrics.includes(key));
  return (
    <Section id="results" title="Results">
      <dl class="tiles">
        {tiles.map(([key, name, as]) => (
          <Tile
            name={name}
            of={key === "perfectClasses" ? classes : undefined}
            mean={mean[key]}
            deviation={deviation?.[key]}
            as={as}
          />
        ))}
      </dl>
      <Table
        caption={`Metrics on the held-out images, which took no part in training or in choosing the best epoch${
          deviation ? "; mean ± standard deviation over the folds" : ""
        }`}
        head={
          <>
            <th scope="col">metric</th>
            <Heads
              names={[]}
              numbers={deviation ? ["mean", "±", ...folds.map(({ fold }) => `fold ${fold}`)] : ["value"]}
            />
            <th scope="col" class="meaning">what it says</th>
          </>
        }
      >
        {rows.map(([key, name, as, meaning]) => (
          <tr>
            <th scope="row">{name}</th>
            <td class="number">
              <Value of={mean[key]} as={as} />
            </td>
            {deviation && (
              <>
                <td class="number">
                  <Value of={deviation[key]} as={as} />
                </td>
                {folds.map(({ completed }) => (
                  <td class="number">
                    <Value of={completed.metrics[key]} as={as} />
                  </td>
                ))}
              </>
            )}
            <td class="meaning">{meaning}</td>
          </tr>
        ))}
      </Table>
    </Section>
  );
};

const methods: Record<RunSpec["method"], string> = {
  standard: "standard (cross-entropy)",
  triplet: "triplet loss",
  clustering: "clustering",
  "clustering+triplet": "clustering and triplet loss",
  "gs-trs": "GS-TRS: fixed clusters and group-sensitive triplets",
};

/** What was done and what came of it, in two sentences. */
const Lead = ({ log, folds }: { log: RunLog; folds: readonly ScoredFold[] }) => {
  const { spec } = log;
  const divided = spec.classes.filter((_, i) =>
    log.folds.some(({ epochs }) => epochs.some(({ trained }) => trained.state.classes[i]!.clusters > 1))
  );
  const missed = folds.map(({ completed }) => falseNegativesOf(completed.confusion));
  const worst = spec.classes
    .map((name, i) => ({ name, rate: missed.reduce((sum, rates) => sum + rates[i]!, 0) / missed.length }))
    .toSorted((a, b) => b.rate - a.rate).slice(0, 3).filter(({ rate }) => rate > 0);
  return (
    <p class="lead">
      {folds.length > 0 && (
        <>
          The network recognised{" "}
          <Value
            of={summariseFolds(folds.map(({ completed }) => completed.metrics)).mean.accuracy}
            as={percent}
          />{" "}
          of the held-out images{folds.length > 1 ? `, on average over ${folds.length} folds` : ""}.{" "}
          {worst.length > 0 && (
            <>
              Most often missed: {worst.map(({ name, rate }, i) => (
                <>
                  {i > 0 ? ", " : ""}
                  <b>{name}</b> ({percent(rate, 0)})
                </>
              ))}.{" "}
            </>
          )}
        </>
      )}
      {usesClustering(spec.method) && (
        <>
          {divided.length === 0
            ? "No class"
            : `${count(divided.length)} of ${count(spec.classes.length)} classes`}{" "}
          {divided.length <= 1 ? "was" : "were"} divided into sub-classes at any time.
        </>
      )}
    </p>
  );
};

const state = (log: RunLog) => {
  switch (log.end?.type) {
    case "run.failed":
      return `failed: ${log.end.error.message}`;
    case "run.cancelled":
      return "cancelled";
    default:
      return log.folds.filter(isScored).length === log.spec.folds ? "completed" : "not finished";
  }
};

/** Whose sub-classes they are. */
const clustererOf = (log: RunLog) => {
  const versions = clustererVersionsOf(log);
  const { clusterer } = log.spec;
  return versions.length === 0 ? clusterer : `${clusterer}, version ${versions.join(" and ")}`;
};

export const Header = (
  { log, folds, generatedAt }: { log: RunLog; folds: readonly ScoredFold[]; generatedAt: string },
) => {
  const { spec } = log;
  const last = log.events.at(-1)?.at ?? log.createdAt;
  const facts: [string, unknown][] = [
    ["Run", log.id],
    ["State", state(log)],
    ["Dataset", `${spec.dataset}, ${plural(spec.classes.length, "class", "classes")}`],
    ["Method", methods[spec.method]],
    ...(usesClustering(spec.method) ? [["Clusterer", clustererOf(log)] as [string, unknown]] : []),
    ["Seed", spec.seed],
    ["Evaluation", spec.folds === 1 ? "one 70/10/20 split" : `${spec.folds}-fold cross-validation`],
    [
      "Epochs",
      `${log.folds.map(({ epochs }) => epochs.length).join(", ")} (best: ${
        log.folds.map((fold) => bestEpochOf(fold) ?? "–").join(", ")
      })`,
    ],
    ["Began", <Time at={log.createdAt} />],
    ["Took", duration((Date.parse(last) - Date.parse(log.createdAt)) / 1000)],
    ["Report", <Time at={generatedAt} />],
  ];
  return (
    <header>
      <p class="brand">Subtaxa report</p>
      <h1>{spec.dataset}</h1>
      <Lead log={log} folds={folds} />
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </header>
  );
};

/** All that the run was asked to do: with the same manifest, it can be repeated from this. */
export const Settings = ({ log }: { log: RunLog }) => {
  const { manifest, pretrained, classes: _, ...settings } = log.spec;
  const blobs = [
    { name: "dataset's manifest", blob: manifest },
    ...(pretrained ? [{ name: "weights it started from", blob: pretrained }] : []),
    ...log.folds.flatMap(({ fold, completed }) => {
      const of = log.spec.folds > 1 ? `, fold ${fold}` : "";
      const best = completed?.state.best;
      return [
        ...(best ? [{ name: `best checkpoint${of}`, blob: best.checkpoint }] : []),
        ...(best?.labels ? [{ name: `its pseudo-labels${of}`, blob: best.labels }] : []),
        ...(completed ? [{ name: `held-out predictions${of}`, blob: completed.predictions }] : []),
      ];
    }),
  ];
  return (
    <Section id="settings" title="Settings">
      <div class="columns">
        <Table caption="Settings of the run" kind="narrow" head={<Heads names={["setting", "value"]} />}>
          {Object.entries(settings).map(([name, value]) => (
            <tr>
              <th scope="row">{name}</th>
              <td>{typeof value === "object" ? JSON.stringify(value) : String(value)}</td>
            </tr>
          ))}
        </Table>
        <Table
          caption="What it read and wrote, by SHA-256"
          kind="narrow"
          head={<Heads names={["what", "content"]} />}
        >
          {blobs.map(({ name, blob }) => (
            <tr>
              <th scope="row">{name}</th>
              <td>
                <code>{blob.sha256}</code>
              </td>
            </tr>
          ))}
        </Table>
      </div>
    </Section>
  );
};
