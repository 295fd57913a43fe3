import { Result } from "effect";
import { ClusteringError } from "./errors.ts";

/** Embeddings of one class, checked once: `rows` × `dimension`, row-major, every value finite. */
export class Points {
  private constructor(
    readonly values: Float32Array,
    readonly rows: number,
    readonly dimension: number,
  ) {}

  /**
   * Takes `values` as they are, without a copy. Fails when they are not whole rows; names the first row that
   * is not finite.
   */
  static of(values: Float32Array, dimension: number): Result.Result<Points, ClusteringError> {
    const rows = values.length / dimension;
    if (!Number.isInteger(dimension) || dimension < 1 || !Number.isInteger(rows)) {
      return Result.fail(ClusteringError.of({ _tag: "Shape", values: values.length, dimension }));
    }
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        return Result.fail(ClusteringError.of({ _tag: "NotFinite", row: Math.floor(i / dimension) }));
      }
    }
    return Result.succeed(new Points(values, rows, dimension));
  }
}

/** Copies the given rows of a row-major matrix, in the given order. */
export const selectRows = (
  values: Float32Array,
  dimension: number,
  rows: ArrayLike<number>,
): Float32Array => {
  const selected = new Float32Array(rows.length * dimension);
  for (let i = 0; i < rows.length; i++) {
    const start = rows[i]! * dimension;
    selected.set(values.subarray(start, start + dimension), i * dimension);
  }
  return selected;
};

/**
 * Puts rows of a row-major matrix first, in the given order, without a copy of it; the others come after them, in an order of
 * their own. No row is named twice.
 */
export const bringToFront = (values: Float32Array, dimension: number, rows: Uint32Array): void => {
  const held = new Float32Array(dimension);
  const placeOf = Uint32Array.from({ length: values.length / dimension }, (_, row) => row);
  const rowAt = placeOf.slice();
  rows.forEach((row, to) => {
    const from = placeOf[row]!;
    if (from === to) return;
    held.set(values.subarray(to * dimension, (to + 1) * dimension));
    values.copyWithin(to * dimension, from * dimension, (from + 1) * dimension);
    values.set(held, from * dimension);
    const displaced = rowAt[to]!;
    [rowAt[from], placeOf[displaced]] = [displaced, from];
    [rowAt[to], placeOf[row]] = [row, to];
  });
};
