import { Result } from "effect";
import { expect } from "expect";
import fc from "fast-check";
import { ClusteringError } from "./errors.ts";
import { normaliseRows } from "./normalise.ts";
import { bringToFront, Points, selectRows } from "./points.ts";

const errorOf = (values: number[], dimension: number) => {
  const result = Points.of(Float32Array.from(values), dimension);
  if (Result.isSuccess(result)) throw new Error("no failure");
  return result.failure;
};

Deno.test("a row that is not finite is a typed error that names it", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const error = errorOf([1, 2, 3, 4, 5, bad], 2);
    expect(error).toBeInstanceOf(ClusteringError);
    expect(error).toMatchObject({ reason: { _tag: "NotFinite", row: 2 }, retryable: false });
    expect(error.message).toMatch(/row 2 /);
  }
});

Deno.test("a row that is not finite is still found after normalisation", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const normalised = Float32Array.of(1, 2, 0, 0, bad, 1);
    normaliseRows(normalised, 2);
    expect(errorOf(Array.from(normalised), 2).reason).toEqual({ _tag: "NotFinite", row: 2 });
  }
});

Deno.test("values that are no whole rows are a typed error", () => {
  for (const dimension of [4, 0, -1, 1.5, NaN]) {
    expect(errorOf([1, 2, 3], dimension).reason).toMatchObject({ _tag: "Shape", values: 3 });
  }
});

Deno.test("normalised rows have length 1 and their direction; zeros stay", () => {
  const value = fc.float({ noNaN: true, noDefaultInfinity: true });
  fc.assert(fc.property(fc.array(fc.tuple(value, value, value)), (rows) => {
    const normalised = Float32Array.from(rows.flat());
    normaliseRows(normalised, 3);
    rows.forEach((row, i) => {
      const norm = Math.hypot(...row);
      row.forEach((x, d) => expect(normalised[3 * i + d]).toBeCloseTo(norm === 0 ? 0 : x / norm, 6));
    });
  }));
});

Deno.test("rows are selected in the given order", () => {
  expect(Array.from(selectRows(Float32Array.of(0, 1, 10, 11, 20, 21), 2, [2, 0, 2]))).toEqual([
    20,
    21,
    0,
    1,
    20,
    21,
  ]);
});

Deno.test("rows brought to the front are those that a copy of them has, and none is lost", () => {
  const orders = fc.integer({ min: 0, max: 12 }).chain((count) =>
    fc.shuffledSubarray(Array.from({ length: count }, (_, row) => row)).map((rows) => ({ count, rows }))
  );
  fc.assert(fc.property(orders, ({ count, rows }) => {
    const values = Float32Array.from({ length: 2 * count }, (_, i) => i);
    const selected = selectRows(values, 2, rows);
    const moved = values.slice();
    bringToFront(moved, 2, Uint32Array.from(rows));
    expect(moved.subarray(0, selected.length)).toEqual(selected);
    const firsts = [...moved].filter((_, i) => i % 2 === 0);
    expect(firsts.map((first) => first / 2).sort((a, b) => a - b)).toEqual(Array.from(Array(count).keys()));
    expect(firsts.map((first) => first + 1)).toEqual([...moved].filter((_, i) => i % 2 === 1));
  }));
});
