/** @jsxImportSource hono/jsx */
// @ts-types="@types/d3-scale"
import { scaleLinear } from "d3-scale";
import { Key } from "./elements.tsx";

export interface Line {
  /** Which fold, where there are several. */
  readonly label?: string;
  readonly points: readonly { readonly epoch: number; readonly value: number }[];
}
export interface Series {
  readonly name: string;
  readonly kind: "first" | "second";
  readonly lines: readonly Line[];
}
export interface LineChartProps {
  readonly title: string;
  readonly series: readonly Series[];
  /** Epochs to mark: the best of each fold. */
  readonly best: readonly number[];
  readonly format: (value: number) => string;
  /** Upper end of the vertical axis; the largest value where it isn't given. */
  readonly top?: number;
}

const width = 520, height = 222;
const area = { left: 50, right: 510, top: 10, bottom: 200 };
const at = (value: number) => value.toFixed(1);

/** One measure over the epochs. The vertical axis begins at zero. */
export const LineChart = ({ title, series, best, format, top }: LineChartProps) => {
  const points = series.flatMap(({ lines }) => lines.flatMap((line) => line.points));
  const last = Math.max(...points.map(({ epoch }) => epoch));
  const x = scaleLinear([1, Math.max(2, last)], [area.left + 8, area.right - 8]);
  const y = scaleLinear([0, top ?? (Math.max(...points.map(({ value }) => value)) || 1)], [
    area.bottom,
    area.top,
  ]);
  if (top === undefined) y.nice(5);
  // The first tick names the axis; those that would run into it are left out.
  const epochs = x.ticks(8).filter((epoch) =>
    Number.isInteger(epoch) && epoch <= last && x(epoch) > x(1) + 50
  );
  const tick = y.tickFormat(5);
  const several = series.some(({ lines }) => lines.length > 1);
  const range = series.map(({ name, lines }) => {
    const [first, end] = [lines[0]?.points[0], lines[0]?.points.at(-1)];
    return first && end
      ? `${name}: ${format(first.value)} in epoch ${first.epoch}, ${format(end.value)} in epoch ${end.epoch}`
      : name;
  });
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        <span class="legend">
          {series.map(({ name, kind }) => <Key kind={`line ${kind}`}>{name}</Key>)}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${title}. ${range.join("; ")}`}>
        {y.ticks(5).map((value) => (
          <>
            <line
              class={value === 0 ? "axis" : "grid"}
              x1={area.left}
              x2={area.right}
              y1={at(y(value))}
              y2={at(y(value))}
            />
            <text class="tick" x={area.left - 7} y={at(y(value) + 4)} text-anchor="end">{tick(value)}</text>
          </>
        ))}
        <text class="tick" x={at(x(1))} y={area.bottom + 17} text-anchor="middle">epoch 1</text>
        {epochs.map((epoch) => (
          <text class="tick" x={at(x(epoch))} y={area.bottom + 17} text-anchor="middle">{epoch}</text>
        ))}
        {best.map((epoch) => (
          <line class="best" x1={at(x(epoch))} x2={at(x(epoch))} y1={area.top} y2={area.bottom}>
            <title>{`best epoch: ${epoch}`}</title>
          </line>
        ))}
        {series.map(({ name, kind, lines }) => (
          <g class={`${kind}${several ? " several" : ""}`}>
            {lines.map(({ label, points }) => (
              <>
                <polyline
                  class="line"
                  points={points.map((p) => `${at(x(p.epoch))},${at(y(p.value))}`).join(" ")}
                />
                {points.map((p) => (
                  <circle
                    class={several || last > 40 ? "hit" : "dot"}
                    cx={at(x(p.epoch))}
                    cy={at(y(p.value))}
                    r={2.6}
                  >
                    <title>
                      {`${name}${label ? `, ${label}` : ""}, epoch ${p.epoch}: ${format(p.value)}`}
                    </title>
                  </circle>
                ))}
              </>
            ))}
          </g>
        ))}
      </svg>
    </figure>
  );
};
