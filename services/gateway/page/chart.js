import { h } from "./dom.js";

const width = 560;
const height = 220;
const margin = { top: 12, right: 12, bottom: 30, left: 46 };

/** Round steps that divide [0, max] into three to six parts. */
const ticks = (max) => {
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  const out = [];
  for (let value = 0; value <= max * 1.0001; value += step) out.push(Number(value.toPrecision(6)));
  return out;
};

/**
 * Curves over epochs as an SVG. `series`: `[{ name, folds: [[{ epoch, value }, …], …] }]`, one line per fold, one colour per
 * series. The table beside it says the same in numbers.
 */
export const curves = (title, series, { max, format }) => {
  const points = series.flatMap(({ folds }) => folds.flat());
  if (points.length === 0) return null;
  const epochs = Math.max(2, ...points.map(({ epoch }) => epoch));
  const top = max ?? Math.max(...points.map(({ value }) => value)) * 1.05;
  const x = (epoch) => margin.left + (epoch - 1) / (epochs - 1) * (width - margin.left - margin.right);
  const y = (value) =>
    height - margin.bottom - Math.min(1, value / top) * (height - margin.top - margin.bottom);
  const at = (value) => value.toFixed(1);
  const every = Math.max(1, Math.ceil(epochs / 10));
  const marks = Array.from({ length: epochs }, (_, i) => i + 1).filter((epoch) => (epoch - 1) % every === 0);
  return h(
    "figure",
    { class: "chart" },
    h(
      "figcaption",
      {},
      title,
      h("span", { class: "legend" }, series.map(({ name }, i) => h("span", { class: `key s${i}` }, name))),
    ),
    h(
      "svg:svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": `${title}, by epoch; the table below has the numbers`,
      },
      ticks(top).map((value) => [
        h("svg:line", {
          class: "grid",
          x1: margin.left,
          x2: width - margin.right,
          y1: at(y(value)),
          y2: at(y(value)),
        }),
        h("svg:text", { x: margin.left - 8, y: at(y(value) + 4), "text-anchor": "end" }, format(value)),
      ]),
      marks.map((epoch) =>
        h(
          "svg:text",
          { x: at(x(epoch)), y: height - margin.bottom + 20, "text-anchor": "middle" },
          String(epoch),
        )
      ),
      series.map(({ name, folds }, i) =>
        folds.map((line, fold) => [
          h("svg:polyline", {
            class: `s${i}`,
            points: line.map(({ epoch, value }) => `${at(x(epoch))},${at(y(value))}`).join(" "),
          }),
          line.map(({ epoch, value }) =>
            h(
              "svg:circle",
              { class: `s${i}`, cx: at(x(epoch)), cy: at(y(value)), r: 2.6 },
              h(
                "svg:title",
                {},
                `${name}, epoch ${epoch}${folds.length > 1 ? `, fold ${fold}` : ""}: ${format(value)}`,
              ),
            )
          ),
        ])
      ),
    ),
  );
};
