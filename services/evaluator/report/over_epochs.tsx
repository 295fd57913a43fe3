/** @jsxImportSource hono/jsx */
import { usesClustering } from "@subtaxa/contracts";
import { falseNegativesOf } from "@subtaxa/metrics";
import { isValidated, type LoggedFold, type RunLog } from "@subtaxa/runs";
import { Bar, Key, Section, Table, Value } from "./elements.tsx";
import { percent } from "./format.ts";
import { bestEpochOf } from "./gallery.ts";
import { ClusterStrip, EpochAxis, FalseNegativeStrip } from "./strips.tsx";

const FoldTable = ({ log, fold }: { log: RunLog; fold: LoggedFold }) => {
  const { spec } = log;
  const clusters = usesClustering(spec.method);
  const epochs = fold.epochs.filter(isValidated);
  const best = bestEpochOf(fold);
  const bestEpoch = epochs.find(({ epoch }) => epoch === best);
  // The limit in force when the sub-classes of an epoch were found, not the one set after it.
  const statesOf = (index: number) =>
    epochs.map(({ trained }) => trained.state.classes[index]!)
      .map((state) => ({ found: state.clusters, allowed: state.allowedClusters }));
  const most = Math.max(
    2,
    ...spec.classes.flatMap((_, i) => statesOf(i).flatMap((s) => [s.found, s.allowed])),
  );
  const heldOut = fold.completed && falseNegativesOf(fold.completed.confusion);
  return (
    <Table
      kind="strips"
      caption={`Class by class over the epochs${spec.folds > 1 ? `, fold ${fold.fold}` : ""}${
        best === undefined ? "" : ` (best epoch: ${best})`
      }`}
      head={
        <>
          <th scope="col">class</th>
          <EpochAxis title="false negatives, validation" last={epochs.length} />
          <th scope="col" class="number">best epoch</th>
          <th scope="col" class="number">held-out</th>
          {clusters && (
            <>
              <EpochAxis title="sub-classes found and allowed" last={epochs.length} />
              <th scope="col" class="number">best epoch</th>
            </>
          )}
        </>
      }
    >
      {spec.classes.map((name, index) => {
        const states = statesOf(index);
        const atBest = bestEpoch?.trained.state.classes[index];
        return (
          <tr>
            <th scope="row">{name}</th>
            <td class="over">
              <FalseNegativeStrip
                values={epochs.map(({ validated }) => validated.falseNegatives[index]!)}
                threshold={spec.confusionThreshold}
                best={best}
              />
            </td>
            <td class="number">
              {bestEpoch ? <Value of={bestEpoch.validated.falseNegatives[index]!} as={percent} /> : "–"}
            </td>
            <td class="number">
              {heldOut
                ? (
                  <Bar
                    share={heldOut[index]!}
                    kind="bad"
                    label={<Value of={heldOut[index]!} as={percent} />}
                  />
                )
                : "–"}
            </td>
            {clusters && (
              <>
                <td class="over">
                  <ClusterStrip epochs={states} most={most} best={best} />
                </td>
                <td class="number">
                  {atBest
                    ? (
                      <>
                        <Value of={atBest.clusters} as={String} /> of{" "}
                        <Value of={atBest.allowedClusters} as={String} />
                      </>
                    )
                    : "–"}
                </td>
              </>
            )}
          </tr>
        );
      })}
    </Table>
  );
};

/** False negatives and sub-classes of every class, epoch by epoch: what Algorithm 1 saw and did. */
export const OverEpochs = ({ log }: { log: RunLog }) => {
  const folds = log.folds.filter(({ epochs }) => epochs.some(isValidated));
  const { spec } = log;
  if (folds.length === 0) return null;
  return (
    <Section id="epochs" title="Class by class">
      <p class="legend">
        <span>One column per epoch:</span>
        <Key kind="below">missed up to the threshold of {percent(spec.confusionThreshold, 0)}</Key>
        <Key kind="above">missed more often</Key>
        {usesClustering(spec.method) && (
          <>
            <Key kind="whole">whole</Key>
            <Key kind="divided">divided into sub-classes</Key>
            <Key kind="allowed">allowed sub-classes</Key>
          </>
        )}
        <Key kind="best">best epoch</Key>
      </p>
      {folds.map((fold, i) =>
        folds.length === 1 ? <FoldTable log={log} fold={fold} /> : (
          <details open={i === 0}>
            <summary>Fold {fold.fold}</summary>
            <FoldTable log={log} fold={fold} />
          </details>
        )
      )}
    </Section>
  );
};
