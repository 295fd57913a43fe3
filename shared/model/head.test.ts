import type { Subclass } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { expect } from "expect";
import fc from "fast-check";
import { ModelError } from "./error.ts";
import { classProbabilities, followLabels, type Head, type HeadRow } from "./head.ts";

const WIDTH = 5;

const trained = (length: number, at: (i: number) => number) => ({
  value: Float32Array.from({ length }, (_, i) => at(i)),
  first: Float32Array.from({ length }, (_, i) => at(i) / 10),
  second: Float32Array.from({ length }, (_, i) => at(i) ** 2),
});

const headOf = (rows: readonly HeadRow[]): Head => ({
  rows,
  width: WIDTH,
  kernel: trained(rows.length * WIDTH, (i) => Math.sin(i + 1)),
  bias: trained(rows.length, (i) => Math.cos(i) / 2),
  steps: Int32Array.from(rows, (_, r) => 30 + r),
});

const logitsOf = (head: Head, embeddings: readonly number[][]) =>
  Float32Array.from(
    embeddings.flatMap((embedding) =>
      head.rows.map((_, r) =>
        embedding.reduce((sum, x, i) => sum + x * head.kernel.value[r * WIDTH + i]!, head.bias.value[r]!)
      )
    ),
  );

const embeddings = Array.from(
  { length: 7 },
  (_, n) => Array.from({ length: WIDTH }, (_, i) => Math.sin(3 * n + i)),
);
const probabilities = (head: Head, classes: number) =>
  classProbabilities(logitsOf(head, embeddings), head.rows, classes);
const expectClose = (actual: Iterable<number>, wanted: Iterable<number>, tolerance = 1e-5) => {
  const expected = [...wanted];
  [...actual].forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(tolerance));
};

const whole = (id = 0, from = id) => (classIndex: number): Subclass => ({ class: classIndex, id, from });
const rows = (subclasses: readonly Subclass[]) => subclasses.map(({ class: c, id }) => ({ class: c, id }));
const silent = { random: random(1), noise: 0 };

Deno.test("class probabilities are sums over the softmax of the sub-classes", () => {
  const probability = classProbabilities(
    Float32Array.of(1, 2, 3, -4, 0, 1000),
    [{ class: 0, id: 0 }, { class: 1, id: 0 }, { class: 1, id: 4 }],
    2,
  );
  const total = Math.exp(1) + Math.exp(2) + Math.exp(3);
  expectClose(probability.subarray(0, 2), [Math.exp(1) / total, (Math.exp(2) + Math.exp(3)) / total], 1e-6);
  // Far beyond what exp can hold.
  expect([...probability.subarray(2)]).toEqual([0, 1]);
});

Deno.test("a split leaves every image's class probabilities as they were", () => {
  const before = headOf([0, 1, 2].map(whole()));
  const labels = [
    ...[0, 1, 2].map((id) => ({ class: 0, id, from: 0 })),
    whole()(1),
    ...[3, 4].map((id) => ({ class: 2, id, from: 0 })),
  ];
  const after = followLabels(before, labels, silent);
  expect(after.rows).toEqual(rows(labels));
  expectClose(probabilities(after, 3), probabilities(before, 3));
  // With the default noise the change stays small.
  const noisy = followLabels(before, labels, { random: random(1) });
  expectClose(probabilities(noisy, 3), probabilities(before, 3), 0.02);
  expect(noisy.kernel.value).not.toEqual(after.kernel.value);
});

Deno.test("kept rows keep moments and step count, new ones start without", () => {
  const before = headOf([whole()(0), { class: 1, id: 2 }, { class: 1, id: 5 }]);
  const after = followLabels(before, [
    { class: 0, id: 0, from: 0 },
    { class: 1, id: 2, from: 2 },
    { class: 1, id: 3, from: 5 },
    { class: 1, id: 5, from: 5 },
  ], { random: random(1) });
  const row = (values: Float32Array, r: number) => values.subarray(r * WIDTH, (r + 1) * WIDTH);
  for (const [now, then] of [[0, 0], [1, 1], [3, 2]] as const) {
    expect(row(after.kernel.value, now)).toEqual(row(before.kernel.value, then));
    expect(row(after.kernel.first, now)).toEqual(row(before.kernel.first, then));
    expect(row(after.kernel.second, now)).toEqual(row(before.kernel.second, then));
    expect(after.bias.first[now]).toBe(before.bias.first[then]);
    expect(after.bias.second[now]).toBe(before.bias.second[then]);
  }
  expect([...after.steps]).toEqual([30, 31, 0, 32]);
  expect(row(after.kernel.first, 2).some((value) => value !== 0)).toBe(false);
  expect([after.bias.first[2], after.bias.second[2]]).toEqual([0, 0]);
  const distance = row(after.kernel.value, 2).map((value, i) => value - row(before.kernel.value, 2)[i]!);
  expect(distance.every((d) => d !== 0 && Math.abs(d) < 0.05)).toBe(true);
  expectClose(
    [after.bias.value[2]!, after.bias.value[3]!],
    [2, 2].map((r) => before.bias.value[r]! - Math.log(2)),
  );
});

Deno.test("a merge keeps the class's prior weight, and undoes a fresh split", () => {
  const before = headOf([0, 1].map(whole()));
  const split = followLabels(before, [
    { class: 0, id: 0, from: 0 },
    { class: 0, id: 1, from: 0 },
    { class: 0, id: 2, from: 0 },
    whole()(1),
  ], silent);
  const merged = followLabels(split, [{ class: 0, id: 2, from: 2 }, whole()(1)], silent);
  expect(merged.rows).toEqual([{ class: 0, id: 2 }, { class: 1, id: 0 }]);
  expectClose(merged.kernel.value, before.kernel.value);
  expectClose(merged.bias.value, before.bias.value);
});

Deno.test("whatever the relabelling, Σ exp(bias) of each class stays", () => {
  const ids = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(ids, ids, ids, (old, next, other) => {
    const before = headOf([old, other].flatMap((set, c) => set.map((id) => ({ class: c, id }))));
    const labels = [next, other].flatMap((set, c) =>
      set.map((id, i) => ({ class: c, id, from: c === 0 ? old[i % old.length]! : id }))
    );
    const after = followLabels(before, labels, silent);
    const mass = (head: Head, c: number) =>
      head.rows.reduce((sum, row, r) => row.class === c ? sum + Math.exp(head.bias.value[r]!) : sum, 0);
    expectClose([mass(after, 0), mass(after, 1)], [mass(before, 0), mass(before, 1)], 1e-4);
  }));
});

Deno.test("labels that do not fit the head are a typed error", () => {
  const head = headOf([0, 1].map(whole()));
  const stranger = () => followLabels(head, [whole()(0), { class: 1, id: 3, from: 2 }], silent);
  expect(stranger).toThrow(ModelError);
  expect(stranger).toThrow(/sub-class 3 of class 1 .* from sub-class 2/);
});

Deno.test("a class that has no training image, and so no sub-class, keeps its rows behind the others", () => {
  const before = headOf([{ class: 0, id: 2 }, { class: 0, id: 5 }, { class: 1, id: 0 }]);
  const after = followLabels(before, [{ class: 1, id: 0, from: 0 }, { class: 1, id: 1, from: 0 }], silent);
  expect(after.rows).toEqual([{ class: 1, id: 0 }, { class: 1, id: 1 }, { class: 0, id: 2 }, {
    class: 0,
    id: 5,
  }]);
  expect(after.kernel.value.subarray(2 * WIDTH)).toEqual(before.kernel.value.subarray(0, 2 * WIDTH));
  expect([...after.steps]).toEqual([32, 0, 30, 31]);
  expectClose(probabilities(after, 2), probabilities(before, 2));
});
