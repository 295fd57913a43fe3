import { random } from "@subtaxa/random";
import { expect } from "expect";
import { effectiveDimension, score } from "./score.ts";

const draw = random(4);
const [rows, dimension] = [60, 3];
const labels = Array.from({ length: rows }, (_, row) => 7 * Number(row % 3 === 0)); // clusters 0 and 7
const values = Float32Array.from(
  { length: rows * dimension },
  (_, i) => draw.normal() + labels[Math.floor(i / dimension)]!,
);
const rowsOf = (label: number) =>
  labels.flatMap((one, row) =>
    one === label ? [[...values.subarray(row * dimension, (row + 1) * dimension)]] : []
  );

Deno.test("a division's score is the log-density of its rows one by one, minus the penalty", () => {
  const clusters = [0, 7].map((label) => {
    const members = rowsOf(label);
    const centre = Array.from(
      { length: dimension },
      (_, d) => members.reduce((sum, row) => sum + row[d]!, 0) / members.length,
    );
    const distances = members.map((row) => row.reduce((sum, value, d) => sum + (value - centre[d]!) ** 2, 0));
    return { weight: members.length / rows, distances };
  });
  const sse = clusters.flatMap(({ distances }) => distances).reduce((a, b) => a + b, 0);
  const variance = sse / (dimension * (rows - 2));
  const density = clusters.flatMap(({ weight, distances }) =>
    distances.map((distance) =>
      Math.log(weight * Math.exp(-distance / (2 * variance)) / (2 * Math.PI * variance) ** (dimension / 2))
    )
  ).reduce((a, b) => a + b, 0);
  const bic = density - 2 * (dimension + 1) / 2 * Math.log(rows);
  const scored = score({ values, dimension }, labels, dimension);
  expect(scored.clusters).toBe(2);
  expect(scored.bic).toBeCloseTo(bic, 8);
  expect(score({ values, dimension }, labels.map(() => 1), dimension).bic).toBeLessThan(bic);
});

Deno.test("the effective dimension is that of the spread: along a line 1, alike in every direction all", () => {
  const line = Float32Array.from({ length: 30 }, (_, i) => Math.floor(i / 3) * [1, 2, -1][i % 3]! + 5);
  expect(effectiveDimension({ values: line, dimension: 3 })).toBeCloseTo(1, 6);
  const cross = Float32Array.of(1, 0, -1, 0, 0, 1, 0, -1);
  expect(effectiveDimension({ values: cross, dimension: 2 })).toBeCloseTo(2, 6);
});
