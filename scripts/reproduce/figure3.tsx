/** @jsxImportSource hono/jsx */
import type { Method } from "@subtaxa/contracts";
// @ts-types="@types/d3-scale"
import { scaleLinear } from "d3-scale";
import type { ClassResult, Results } from "./results.ts";

/** The paper's methods and colours, the widest bar first: later ones are drawn over it. */
const overlaid = [
  { method: "standard", kind: "cyan", width: 20 },
  { method: "clustering", kind: "orange", width: 13 },
  { method: "clustering+triplet", kind: "green", width: 6 },
] as const satisfies readonly { method: Method; kind: string; width: number }[];

const pitch = 26;
const area = { left: 48, top: 10, height: 240 };
const longestName = 22;

const missedBy = ({ methods }: ClassResult, method: Method): number =>
  methods.find((one) => one.method === method)?.falseNegative || 0; // NaN: no image held out

/** The classes of which a method of the figure misses an image, the most missed by the first method first. */
export const classesOfFigure = (
  { classes, methods }: Pick<Results, "classes" | "methods">,
): ClassResult[] => {
  const present = overlaid.filter(({ method }) => methods.some((one) => one.method === method));
  const missed = (one: ClassResult) => present.map(({ method }) => missedBy(one, method));
  return classes.filter((one) => missed(one).some((value) => value > 0)).toSorted((a, b) => {
    const [ours, theirs] = [missed(a), missed(b)];
    return (theirs[0] ?? 0) - (ours[0] ?? 0) || Math.max(...theirs) - Math.max(...ours);
  });
};

/** Figure 3: the false negatives of every class, three methods overlaid; classes without any are left out. */
export const Figure3 = ({ results }: { results: Results }) => {
  const series = overlaid.filter(({ method }) => results.methods.some((one) => one.method === method));
  const classes = classesOfFigure(results);
  const leftOut = results.classes.length - classes.length;
  if (series.length === 0) return <p>None of the methods of the paper's Figure 3 has a result.</p>;
  if (classes.length === 0) return <p>No image of any class was missed.</p>;
  const top = Math.max(...classes.flatMap((one) => series.map(({ method }) => missedBy(one, method))));
  const y = scaleLinear([0, top], [area.top + area.height, area.top]).nice(5);
  const right = area.left + classes.length * pitch;
  /** Names are turned by 50 degrees, some 6.5 pixels a letter. */
  const labels = 30 + 5 * Math.min(longestName, Math.max(...classes.map(({ name }) => name.length)));
  const base = area.top + area.height;
  return (
    <figure class="chart">
      <figcaption>
        <span class="legend">
          {series.map(({ method, kind }) => (
            <span>
              <span class={`swatch ${kind}`} aria-hidden="true"></span>
              {method}
            </span>
          ))}
        </span>
      </figcaption>
      <div class="scroll" role="region" tabindex={0} aria-label="False negatives per class">
        <svg
          width={right + 90}
          height={base + labels}
          role="img"
          aria-label={`Mean false-negative rate of ${classes.length} classes for ${
            series.map(({ method }) => method).join(", ")
          }; the figures are in the table below.`}
        >
          {y.ticks(5).map((value) => (
            <>
              <line class="grid" x1={area.left} x2={right} y1={y(value)} y2={y(value)} />
              <text class="tick" x={area.left - 7} y={y(value) + 4} text-anchor="end">
                {y.tickFormat(5, "%")(value)}
              </text>
            </>
          ))}
          {classes.map((one, i) => {
            const centre = area.left + (i + 0.5) * pitch;
            return (
              <g>
                {series.map(({ method, kind, width }) => {
                  const value = missedBy(one, method);
                  return (
                    <rect
                      class={kind}
                      x={centre - width / 2}
                      y={y(value).toFixed(1)}
                      width={width}
                      height={(base - y(value)).toFixed(1)}
                    >
                      <title>{`${one.name}, ${method}: ${(100 * value).toFixed(1)} %`}</title>
                    </rect>
                  );
                })}
                <text class="tick" transform={`translate(${centre - 2} ${base + 14}) rotate(50)`}>
                  {one.name.length > longestName ? `${one.name.slice(0, longestName - 1)}…` : one.name}
                </text>
              </g>
            );
          })}
          <line class="axis" x1={area.left} x2={right} y1={base} y2={base} />
        </svg>
      </div>
      {leftOut > 0 && (
        <p class="note">
          {leftOut} of {results.classes.length}{" "}
          classes without a false negative in any of these methods left out.
        </p>
      )}
    </figure>
  );
};
