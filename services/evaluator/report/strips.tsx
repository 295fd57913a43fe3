/** @jsxImportSource hono/jsx */
import { percent } from "./format.ts";

/**
 * One class over the epochs, as a strip in a table's cell: one column per epoch, as wide as the cell. All figures are in
 * its title, which is also what a screen reader reads.
 */

const column = (epoch: number, height: number, top: number) =>
  height <= 0 ? "" : `M${epoch + 0.08} ${top}v${-height}h.84v${height}z`;

const BestMark = ({ best, height }: { best: number | undefined; height: number }) =>
  best === undefined ? null : (
    <line
      class="best"
      x1={best - 0.5}
      x2={best - 0.5}
      y1={0}
      y2={height}
      vector-effect="non-scaling-stroke"
    />
  );

/** False negatives per epoch in [0, 1]; those above the threshold stand out. */
export const FalseNegativeStrip = (
  { values, threshold, best }: { values: readonly number[]; threshold: number; best: number | undefined },
) => {
  const path = (shown: (value: number) => boolean) =>
    values.map((value, i) => shown(value) ? column(i, Math.round(value * 100), 100) : "").join("");
  return (
    <svg class="strip" viewBox={`0 0 ${values.length} 100`} preserveAspectRatio="none" role="img">
      <title>{`per epoch: ${values.map((value) => percent(value, 0)).join(", ")}`}</title>
      <path class="below" d={path((value) => value <= threshold)} />
      <path class="above" d={path((value) => value > threshold)} />
      <line
        class="limit"
        x1={0}
        x2={values.length}
        y1={100 * (1 - threshold)}
        y2={100 * (1 - threshold)}
        vector-effect="non-scaling-stroke"
      />
      <line class="axis" x1={0} x2={values.length} y1={100} y2={100} vector-effect="non-scaling-stroke" />
      <BestMark best={best} height={100} />
    </svg>
  );
};

/** Sub-classes per epoch: columns are those found, the line is how many were allowed. */
export const ClusterStrip = (
  { epochs, most, best }: {
    epochs: readonly { readonly found: number; readonly allowed: number }[];
    /** Upper end of the scale. */
    most: number;
    best: number | undefined;
  },
) => {
  const path = (shown: (found: number) => boolean) =>
    epochs.map(({ found }, i) => shown(found) ? column(i, found, most) : "").join("");
  const limit = epochs.map(({ allowed }, i) => `${i === 0 ? "M" : "L"}${i} ${most - allowed}h1`).join("");
  return (
    <svg class="strip" viewBox={`0 0 ${epochs.length} ${most}`} preserveAspectRatio="none" role="img">
      <title>
        {`found of allowed, per epoch: ${
          epochs.map(({ found, allowed }) => `${found}/${allowed}`).join(", ")
        }`}
      </title>
      <path class="whole" d={path((found) => found === 1)} />
      <path class="divided" d={path((found) => found > 1)} />
      {Array.from(
        { length: most - 1 },
        (_, i) => (
          <line
            class="level"
            x1={0}
            x2={epochs.length}
            y1={i + 1}
            y2={i + 1}
            vector-effect="non-scaling-stroke"
          />
        ),
      )}
      <path class="allowed" d={limit} vector-effect="non-scaling-stroke" />
      <BestMark best={best} height={most} />
    </svg>
  );
};

/** The epochs above a column of strips. */
export const EpochAxis = ({ title, last }: { title: string; last: number }) => (
  <th scope="col" class="over">
    {title}
    <span class="epochs">
      <span>epoch 1</span>
      {last > 1 && <span>{last}</span>}
    </span>
  </th>
);
