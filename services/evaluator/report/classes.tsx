/** @jsxImportSource hono/jsx */
import { classScores, type Confusion } from "@subtaxa/metrics";
import { Bar, Heads, Section, Table, Value } from "./elements.tsx";
import { count, fixed, percent } from "./format.ts";
import type { ReportInput } from "./input.ts";

/** Training images of a class: one number, or the smallest and the largest of the folds. */
const TrainingImages = ({ training, index }: { training: ReportInput["training"]; index: number }) => {
  const sizes = training.map(({ images }) => images[index] ?? 0);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  if (sizes.length === 0) return <>–</>;
  return least === most ? <Value of={least} as={count} /> : (
    <>
      <Value of={least} as={count} />–<Value of={most} as={count} />
    </>
  );
};

/** How each class did on the held-out images. */
export const ClassSection = (
  { classes, counts, training }: {
    classes: readonly string[];
    counts: Confusion;
    training: ReportInput["training"];
  },
) => {
  const scores = classScores(counts);
  return (
    <Section id="classes" title="Classes">
      <Table
        caption={`Held-out images class by class${
          training.length > 1 ? "; all folds together, training images per fold" : ""
        }`}
        head={
          <Heads
            names={["class"]}
            numbers={[
              "training images",
              "held-out images",
              "precision",
              "recall",
              "F-score",
              "false negatives",
            ]}
          />
        }
      >
        {scores.map((score, index) => (
          <tr>
            <th scope="row">{classes[index]!}</th>
            <td class="number">
              <TrainingImages training={training} index={index} />
            </td>
            <td class="number">
              <Value of={score.support} as={count} />
            </td>
            {[score.precision, score.recall, score.fScore].map((value) => (
              <td class="number">
                <Value of={value} as={(value) => fixed(value, 3)} />
              </td>
            ))}
            <td class="number wide">
              <Bar
                share={score.falseNegative}
                kind="bad"
                label={score.support === 0 ? "–" : <Value of={score.falseNegative} as={percent} />}
              />
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
};
