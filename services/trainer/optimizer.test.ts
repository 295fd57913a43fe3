import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { rowVariable, stepRows } from "./optimizer.ts";

/** Kingma & Ba 2015, algorithm 1 in the form of the end of section 2, for one number; double precision. */
const naiveAdam = (start: number, gradients: readonly number[], learningRate: number) => {
  let [value, first, second] = [start, 0, 0];
  gradients.forEach((gradient, i) => {
    const t = i + 1;
    first = 0.9 * first + 0.1 * gradient;
    second = 0.999 * second + 0.001 * gradient * gradient;
    const size = learningRate * Math.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t);
    value -= size * first / (Math.sqrt(second) + 1e-7);
  });
  return value;
};

Deno.test("rows take Adam's steps, each with its own count", () => {
  const gradients = [0.3, -0.1, 0.2, 0.05, 0.4];
  const [rows, width, late] = [2, 3, 3];
  const before = tf.memory().numTensors;
  const empty = new Float32Array(rows * width);
  const head = rowVariable("rows", [rows, width], {
    value: empty.map((_, i) => i / 10),
    first: empty,
    second: empty,
  });
  const steps = new Int32Array(rows);
  gradients.forEach((gradient, i) => {
    // Row 1 is new after `late` steps: before, it gets no gradient and does not count.
    steps[0]!++;
    if (i >= late) steps[1]!++;
    const both = tf.tensor2d([gradient, gradient, gradient, ...Array(width).fill(i < late ? 0 : gradient)], [
      rows,
      width,
    ]);
    stepRows(head, both, 0.01, steps.map((step) => Math.max(step, 1)));
    both.dispose();
  });
  const values = head.variable.dataSync();
  for (let column = 0; column < width; column++) {
    expect(values[column]).toBeCloseTo(naiveAdam(column / 10, gradients, 0.01), 5);
    expect(values[width + column]).toBeCloseTo(
      naiveAdam((width + column) / 10, gradients.slice(late), 0.01),
      5,
    );
  }
  tf.dispose([head.variable, head.first, head.second]);
  expect(tf.memory().numTensors).toBe(before);
});
