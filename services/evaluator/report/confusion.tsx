/** @jsxImportSource hono/jsx */
import { type Confusion, rowNormalise } from "@subtaxa/metrics";
import { Heads, Key, Section, Table, Value } from "./elements.tsx";
import { count, percent, shortened } from "./format.ts";

const confusionsShown = 12;

/** The page's width in pixels, and the smallest cell beside which a name can still be read. */
const pageWidth = 1140, smallest = 9;

/** Side of a cell in pixels: large enough for its figures in few classes, for its colour alone in many. */
const cellOf = (classes: number) => {
  const roomy = classes <= 8 ? 56 : classes <= 16 ? 36 : classes <= 36 ? 25 : 16;
  return Math.max(smallest, Math.min(roomy, Math.floor((pageWidth - 190) / classes)));
};
const hasCounts = (cell: number) => cell >= 36;
const hasShares = (cell: number) => cell >= 25;

/** Row-normalised confusion matrix as a picture; only cells with images are drawn. */
const Matrix = ({ classes, counts }: { classes: readonly string[]; counts: Confusion }) => {
  const shares = rowNormalise(counts);
  const n = classes.length;
  const cell = cellOf(n);
  const font = Math.min(12, Math.max(8, cell * 0.8));
  const names = classes.map((name) => shortened(name, 28));
  const label = Math.max(...names.map((name) => [...name].length)) * font * 0.56 + 10;
  // Names of columns stand upright where they would run into each other, else they lean.
  const leaning = hasShares(cell);
  const [left, top] = [label + 18, (leaning ? label * 0.72 : label) + 22];
  const width = left + n * cell + (leaning ? label * 0.7 : 4), height = top + n * cell + 4;
  const grid = Array.from(
    { length: n + 1 },
    (_, i) => `M${left} ${top + i * cell}h${n * cell}M${left + i * cell} ${top}v${n * cell}`,
  ).join("");
  return (
    <svg
      class="matrix"
      viewBox={`0 0 ${width.toFixed(0)} ${height.toFixed(0)}`}
      style={`width:${width.toFixed(0)}px`}
      font-size={font}
      role="img"
      aria-label={`Confusion matrix of ${n} classes; the same figures follow as a table`}
    >
      <text class="tick" x={left} y={12}>predicted →</text>
      <text class="tick" transform={`translate(12 ${top + n * cell}) rotate(-90)`}>true →</text>
      <path class="grid" d={grid} />
      {names.map((name, i) => (
        <>
          <text x={left - 6} y={top + (i + 0.5) * cell + font * 0.35} text-anchor="end">
            {name}
            <title>{classes[i]!}</title>
          </text>
          <text
            transform={`translate(${(left + (i + 0.5) * cell + font * 0.3).toFixed(1)} ${top - 6}) rotate(${
              leaning ? -45 : -90
            })`}
          >
            {name}
            <title>{classes[i]!}</title>
          </text>
        </>
      ))}
      {counts.map((row, i) =>
        row.map((images, j) => {
          if (images === 0) return null;
          const share = shares[i]![j]!;
          const [x, y] = [left + j * cell, top + i * cell];
          const strong = share > 0.62 ? "strong" : "";
          return (
            <g class={`${i === j ? "right" : "wrong"} ${strong}`}>
              <rect
                x={x}
                y={y}
                width={cell}
                height={cell}
                fill-opacity={(0.12 + 0.88 * share).toFixed(3)}
              >
                <title>
                  {i === j
                    ? `${classes[i]}: ${images} recognised, ${percent(share)}`
                    : `${classes[i]} taken for ${classes[j]}: ${images}, ${percent(share)}`}
                </title>
              </rect>
              {hasShares(cell) && (
                <text x={x + cell / 2} y={y + cell / 2 + (hasCounts(cell) ? -1 : 4)} text-anchor="middle">
                  {(share * 100).toFixed(0)}
                </text>
              )}
              {hasCounts(cell) && (
                <text class="small" x={x + cell / 2} y={y + cell / 2 + 13} text-anchor="middle">
                  {count(images)}
                </text>
              )}
            </g>
          );
        })
      )}
    </svg>
  );
};

const CountTable = ({ classes, counts }: { classes: readonly string[]; counts: Confusion }) => (
  <details class="screen">
    <summary>All counts as a table</summary>
    <Table
      kind="dense"
      caption="Held-out images by true class (row) and predicted class (column)"
      head={<Heads names={["true class"]} numbers={classes} />}
    >
      {counts.map((row, i) => (
        <tr>
          <th scope="row">{classes[i]!}</th>
          {row.map((images) => <td class={images === 0 ? "number none" : "number"}>{images}</td>)}
        </tr>
      ))}
    </Table>
  </details>
);

const Confusions = ({ classes, counts }: { classes: readonly string[]; counts: Confusion }) => {
  const shares = rowNormalise(counts);
  const confusions = counts.flatMap((row, i) =>
    row.map((images, j) => ({ images, share: shares[i]![j]!, truth: i, taken: j }))
  ).filter(({ images, truth, taken }) => images > 0 && truth !== taken)
    .toSorted((a, b) => b.images - a.images || b.share - a.share);
  if (confusions.length === 0) return <p>No image was taken for another class.</p>;
  const of = confusions.length > confusionsShown
    ? ` (${confusionsShown} of ${count(confusions.length)} pairs)`
    : "";
  return (
    <Table
      kind="narrow"
      caption={`Most frequent confusions${of}`}
      head={<Heads names={["true class", "taken for"]} numbers={["images", "share"]} />}
    >
      {confusions.slice(0, confusionsShown).map(({ images, share, truth, taken }) => (
        <tr>
          <th scope="row">{classes[truth]!}</th>
          <td>{classes[taken]!}</td>
          <td class="number">
            <Value of={images} as={count} />
          </td>
          <td class="number">
            <Value of={share} as={percent} />
          </td>
        </tr>
      ))}
    </Table>
  );
};

/** Which classes are taken for which. */
export const ConfusionSection = (
  { classes, counts, folds }: { classes: readonly string[]; counts: Confusion; folds: number },
) => {
  const cell = cellOf(classes.length);
  return (
    <Section id="confusion" title="Confusion">
      <p class="note">
        Held-out images{folds > 1 ? " of all folds" : ""}. Each row is a true class and adds up to 100 %;
        {hasCounts(cell)
          ? " a cell shows per cent, and the images below."
          : hasShares(cell)
          ? " a cell shows per cent."
          : " point at a cell for its figures."}
      </p>
      <p class="legend">
        <Key kind="right">recognised</Key>
        <Key kind="wrong">taken for another class</Key>
      </p>
      <div class="beside">
        <figure class="scroll" role="region" tabindex={0} aria-label="confusion matrix">
          <Matrix classes={classes} counts={counts} />
        </figure>
        <Confusions classes={classes} counts={counts} />
      </div>
      <CountTable classes={classes} counts={counts} />
    </Section>
  );
};
