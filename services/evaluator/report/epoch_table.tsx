/** @jsxImportSource hono/jsx */
import { usesClustering, usesTriplets } from "@subtaxa/contracts";
import { clustererVersionsOf, isValidated, type RunLog, type ValidatedEpoch } from "@subtaxa/runs";
import { Heads, Section, Table, Value } from "./elements.tsx";
import { count, fixed, variance } from "./format.ts";
import { bestEpochOf } from "./gallery.ts";

type Column = readonly [
  name: string,
  of: (epoch: ValidatedEpoch) => number | undefined,
  as: (value: number) => string,
];

const three = (value: number) => fixed(value, 3);
const four = (value: number) => fixed(value, 4);

const columnsOf = ({ spec }: RunLog): Column[] => {
  const triplets: Column[] = usesTriplets(spec.method)
    ? [
      ["cross-entropy", ({ trained }) => trained.training.crossEntropy, four],
      ["triplet", ({ trained }) => trained.training.triplet, four],
      ["active triplets", ({ trained }) => trained.training.activeTriplets, three],
      ["distance to positives", ({ trained }) => trained.training.positiveDistance, three],
      ["to negatives", ({ trained }) => trained.training.negativeDistance, three],
    ]
    : [];
  const clusters: Column[] = usesClustering(spec.method)
    ? [
      ["sub-classes", ({ trained }) => trained.training.subclasses, count],
      ["agreement", ({ relabelled }) => relabelled?.agreement, three],
    ]
    : [];
  return [
    ["training loss", ({ trained }) => trained.training.loss, four],
    ...triplets,
    ["validation loss", ({ validated }) => validated.loss, four],
    ["accuracy", ({ validated }) => validated.metrics.accuracy, four],
    ["F-score", ({ validated }) => validated.metrics.fScore, four],
    ["FN variance", ({ validated }) => validated.metrics.falseNegativeVariance, variance],
    ["FP variance", ({ validated }) => validated.metrics.falsePositiveVariance, variance],
    ["perfect classes", ({ validated }) => validated.metrics.perfectClasses, count],
    ["training s", ({ trained }) => trained.training.seconds, (value) => fixed(value, 1)],
    ...clusters,
  ];
};

const Row = ({ log, epoch, columns, best, versions }: {
  log: RunLog;
  epoch: ValidatedEpoch;
  columns: Column[];
  best: boolean;
  versions: boolean;
}) => (
  <tr class={best ? "best" : ""}>
    {log.spec.folds > 1 && <td class="number">{epoch.fold}</td>}
    <th scope="row" class="number">{epoch.epoch}{best ? " (best)" : ""}</th>
    {columns.map(([, of, as]) => {
      const value = of(epoch);
      return <td class="number">{value === undefined ? "–" : <Value of={value} as={as} />}</td>;
    })}
    {usesClustering(log.spec.method) && (
      <td class="changes">
        {(epoch.relabelled?.changes ?? []).map(({ class: name, from, to }, i) => (
          <>
            {i > 0 ? ", " : ""}
            <span>{`${name} ${from} → ${to}`}</span>
          </>
        ))}
      </td>
    )}
    {versions && <td>{epoch.relabelled ? epoch.relabelled.clusterer?.version ?? "unknown" : "–"}</td>}
  </tr>
);

/** Every epoch's facts in figures: the report's ledger, to be checked against the event log. */
export const EpochTable = ({ log }: { log: RunLog }) => {
  const columns = columnsOf(log);
  const clusters = usesClustering(log.spec.method);
  const versions = clustererVersionsOf(log).length > 1;
  const epochs = log.folds.flatMap((fold) =>
    fold.epochs.filter(isValidated).map((epoch) => ({ epoch, best: epoch.epoch === bestEpochOf(fold) }))
  );
  return (
    <Section id="log" title="Epoch by epoch">
      <Table
        kind="dense"
        caption={`The run's event log, one row per validated epoch. FN, FP: false negatives and positives${
          usesTriplets(log.spec.method)
            ? "; active triplets: share of the mined ones with a positive loss; distances are Euclidean, of embeddings of length 1"
            : ""
        }${
          clusters
            ? "; agreement: normalised mutual information of the new sub-classes with those before, 1 when nothing moved"
            : ""
        }.`}
        head={
          <>
            <Heads
              names={[]}
              numbers={[...(log.spec.folds > 1 ? ["fold"] : []), "epoch", ...columns.map(([name]) => name)]}
            />
            {clusters && <th scope="col">sub-classes changed after it</th>}
            {versions && <th scope="col">by version</th>}
          </>
        }
      >
        {epochs.map(({ epoch, best }) => (
          <Row log={log} epoch={epoch} columns={columns} best={best} versions={versions} />
        ))}
      </Table>
    </Section>
  );
};
