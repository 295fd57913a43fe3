/** @jsxImportSource hono/jsx */
import { usesClustering } from "@subtaxa/contracts";
import { isValidated, type RunLog, type ValidatedEpoch } from "@subtaxa/runs";
import { count, fixed, percent, variance } from "./format.ts";
import { bestEpochOf } from "./gallery.ts";
import { type Line, LineChart } from "./line_chart.tsx";
import { Section } from "./elements.tsx";

/** How training went: loss, quality on the validation images, and how many sub-classes there were. */
export const Curves = ({ log }: { log: RunLog }) => {
  const folds = log.folds.filter(({ epochs }) => epochs.some(isValidated));
  if (folds.length === 0) return null;
  const lines = (value: (epoch: ValidatedEpoch) => number): Line[] =>
    folds.map(({ fold, epochs }) => ({
      ...(log.spec.folds > 1 && { label: `fold ${fold}` }),
      points: epochs.filter(isValidated).map((epoch) => ({ epoch: epoch.epoch, value: value(epoch) })),
    }));
  const best = [...new Set(folds.map(bestEpochOf).filter((epoch) => epoch !== undefined))];
  return (
    <Section id="training" title="Training">
      <p class="note">
        All but the training loss is measured on the validation images. The dashed upright line marks the best
        epoch
        {log.spec.folds > 1 ? " of each fold; every fold is one line" : ""}.
      </p>
      <div class="charts">
        <LineChart
          title="Loss"
          best={best}
          format={(value) => fixed(value, 3)}
          series={[
            { name: "training", kind: "first", lines: lines(({ trained }) => trained.training.loss) },
            {
              name: "validation (cross-entropy)",
              kind: "second",
              lines: lines(({ validated }) => validated.loss),
            },
          ]}
        />
        <LineChart
          title="Recognised"
          best={best}
          format={percent}
          top={1}
          series={[
            { name: "accuracy", kind: "first", lines: lines(({ validated }) => validated.metrics.accuracy) },
            {
              name: "macro F-score",
              kind: "second",
              lines: lines(({ validated }) => validated.metrics.fScore),
            },
          ]}
        />
        <LineChart
          title="Variance over the classes"
          best={best}
          format={variance}
          series={[
            {
              name: "false negatives",
              kind: "first",
              lines: lines(({ validated }) => validated.metrics.falseNegativeVariance),
            },
            {
              name: "false positives",
              kind: "second",
              lines: lines(({ validated }) => validated.metrics.falsePositiveVariance),
            },
          ]}
        />
        {usesClustering(log.spec.method) && (
          <LineChart
            title="Divided classes"
            best={best}
            format={count}
            series={[
              {
                name: "sub-classes trained on",
                kind: "first",
                lines: lines(({ trained }) => trained.training.subclasses),
              },
              {
                name: "classes divided",
                kind: "second",
                lines: lines(({ trained }) =>
                  trained.state.classes.filter(({ clusters }) => clusters > 1).length
                ),
              },
            ]}
          />
        )}
      </div>
    </Section>
  );
};
