import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import fc from "fast-check";
import { batchHardTriplets, crossEntropy } from "./losses.ts";

type Rows = readonly (readonly number[])[];

const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);

/** Equation (1) over every triplet of the batch; batch-hard keeps the worst of each anchor. Double precision. */
const naive = (rows: Rows, labels: readonly number[], margin: number) => {
  const unit = rows.map((row) => row.map((value) => value / Math.max(norm(row), 1e-12)));
  const distance = (a: number, b: number) => norm(unit[a]!.map((value, i) => value - unit[b]![i]!));
  const worst = labels.flatMap((label, a) => {
    const triplets = labels.flatMap((other, p) =>
      p === a || other !== label ? [] : labels.flatMap((third, n) => third === label ? [] : [[p, n] as const])
    ).map(([p, n]) => ({ positive: distance(a, p), negative: distance(a, n) }));
    const [first, ...rest] = triplets;
    if (!first) return [];
    return [rest.reduce((w, t) => t.positive - t.negative > w.positive - w.negative ? t : w, first)];
  });
  const losses = worst.map(({ positive, negative }) => Math.max(positive - negative + margin, 0));
  return [
    mean(losses),
    mean(losses.map((loss) => Number(loss > 0))),
    mean(worst.map((triplet) => triplet.positive)),
    mean(worst.map((triplet) => triplet.negative)),
    worst.length,
  ];
};

const numericalGradient = (rows: Rows, labels: readonly number[], margin: number, step = 1e-5) =>
  rows.flatMap((row, n) =>
    row.map((_, i) => {
      const [up, down] = [step, -step].map((shift) =>
        naive(rows.map((r, m) => m === n ? r.map((v, j) => j === i ? v + shift : v) : r), labels, margin)[0]!
      );
      return (up! - down!) / (2 * step);
    })
  );

const evaluate = (rows: Rows, labels: readonly number[], margin: number) =>
  tf.tidy(() => {
    const y = tf.tensor1d([...labels], "int32");
    const x = tf.tensor2d(rows.map((row) => [...row]));
    const value = batchHardTriplets(x, y, margin);
    const gradient = tf.grad((e) => tf.slice1d(batchHardTriplets(e as Tensor2D, y, margin), 0, 1).asScalar())(
      x,
    );
    return { value: [...value.dataSync()], gradient: [...gradient.dataSync()] };
  });

const expectClose = (actual: readonly number[], wanted: readonly number[], tolerance: number) => {
  expect(actual).toHaveLength(wanted.length);
  actual.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(tolerance));
};

Deno.test("batch-hard triplet loss equals the worst of all triplets per anchor, in value and gradient", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 10 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.constantFrom(0.05, 0.2, 1),
      (count, classes, seed, margin) => {
        // Spread over the circle by incommensurable sines: no two pairs at the same distance, where the gradient jumps.
        const rows = Array.from(
          { length: count },
          (_, n) =>
            Array.from({ length: 6 }, (_, i) => 2 * Math.sin(1.7 * seed + 12.9898 * n + 78.233 * i ** 1.5)),
        );
        const labels = rows.map((_, n) => (n * 7 + seed) % classes);
        const { value, gradient } = evaluate(rows, labels, margin);
        expectClose(value, naive(rows, labels, margin), 1e-5);
        expectClose(gradient, numericalGradient(rows, labels, margin), 1e-3);
      },
    ),
    { numRuns: 40, seed: 7 },
  );
});

Deno.test("a batch without any triplet has loss 0 and gradient 0", () => {
  const rows = [[1, 2, 3], [-1, 0.5, 2], [0.1, 0.2, -3]];
  for (const labels of [[0, 1, 2], [4, 4, 4]]) {
    const { value, gradient } = evaluate(rows, labels, 0.2);
    expect(value).toEqual([0, 0, 0, 0, 0]);
    expect(gradient.every((g) => g === 0)).toBe(true);
  }
});

Deno.test("equal and zero embeddings have finite gradients", () => {
  for (const rows of [[[1, 0], [1, 0], [1, 0], [0, 1]], [[0, 0], [0, 0], [0, 0], [1, 1]]]) {
    const { value, gradient } = evaluate(rows, [0, 0, 1, 1], 0.2);
    expect([...value, ...gradient].every(Number.isFinite)).toBe(true);
    expect(value[0]).toBeGreaterThan(0);
  }
});

Deno.test("cross-entropy is the mean of −log softmax, with gradient softmax − one-hot over N", () => {
  const logits = [[2, -1, 0.5], [0, 100, 3]];
  const labels = [2, 0];
  const softmax = logits.map((row) => {
    const exps = row.map((value) => Math.exp(value - Math.max(...row)));
    return exps.map((value) => value / exps.reduce((a, b) => a + b));
  });
  tf.tidy(() => {
    const x = tf.tensor2d(logits);
    const y = tf.tensor1d(labels, "int32") as Tensor1D;
    const loss = mean([0, 1].map((n) => -Math.log(softmax[n]![labels[n]!]!)));
    expectClose([...crossEntropy(x, y).dataSync()], [loss], 1e-4);
    const gradient = tf.grad((l) => crossEntropy(l as Tensor2D, y))(x);
    const wanted = softmax.flatMap((row, n) => row.map((p, c) => (p - Number(c === labels[n])) / 2));
    expectClose([...gradient.dataSync()], wanted, 1e-6);
  });
});
