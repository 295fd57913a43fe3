import type { Subclass } from "@subtaxa/contracts";
import type { Random } from "@subtaxa/random";
import { ModelError } from "./error.ts";
import { glorotUniform } from "./initial.ts";

/** Names a row of the head: sub-class `id` of class `class`. The id stays with it from epoch to epoch. */
export type HeadRow = Pick<Subclass, "class" | "id">;

/** Trainable values and Adam's first and second moments of each. */
export interface Trained {
  readonly value: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
}

/**
 * The classification layer, one row per sub-class: logit of row r = ⟨kernel[r], embedding⟩ + bias[r].
 * `kernel` is rows × width, `bias` has an entry per row.
 */
export interface HeadValues {
  readonly rows: readonly HeadRow[];
  readonly width: number;
  readonly kernel: Pick<Trained, "value">;
  readonly bias: Pick<Trained, "value">;
}

/** The classification layer in training. `steps` of Adam are counted for each row, for its bias correction. */
export interface Head extends HeadValues {
  readonly kernel: Trained;
  readonly bias: Trained;
  readonly steps: Int32Array;
}

export interface FollowOptions {
  readonly random: Random;
  /** Standard deviation of the noise on a new row, as a share of the root mean square of its parent's row. */
  readonly noise?: number;
}

const key = (row: HeadRow) => `${row.class}:${row.id}`;
const zeros = (length: number): Trained => ({
  value: new Float32Array(length),
  first: new Float32Array(length),
  second: new Float32Array(length),
});
const rootMeanSquare = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
const massOf = (rows: readonly HeadRow[], bias: Float32Array, classIndex: number) =>
  rows.reduce((sum, row, r) => row.class === classIndex ? sum + Math.exp(bias[r]!) : sum, 0);

/** A head with small random rows and no bias. */
export const newHead = (rows: readonly HeadRow[], width: number, random: Random): Head => {
  const kernel = zeros(rows.length * width);
  const initial = glorotUniform(width, rows.length);
  kernel.value.forEach((_, i) => kernel.value[i] = initial(random));
  return { rows, width, kernel, bias: zeros(rows.length), steps: new Int32Array(rows.length) };
};

/**
 * The head after a relabelling, with one row per sub-class in the order of `subclasses`.
 *
 * - A sub-class that had a row keeps it, its moments and its step count.
 * - A new one starts from a copy of the row of `from` plus noise, with moments and step count zero.
 * - All n heirs of one row (itself included, if it is kept) have their biases lowered by ln n: without noise, every image's
 *   probability of the class is the same as before.
 * - A sub-class that is gone loses its row, and the class that row's share of probability. What remains of the class is
 *   raised by one constant, so that Σ exp(bias) over the class stays as it was: the class keeps its prior weight, and a
 *   split that is merged again before it was trained on is undone exactly.
 * - A class without any sub-class, because it has no training image, keeps its rows as they are, behind the others.
 *
 * Throws `ModelError/UnknownSubclass` when `from` has no row.
 */
export const followLabels = (
  head: Head,
  labelled: readonly Subclass[],
  { random, noise = 0.01 }: FollowOptions,
): Head => {
  const present = new Set(labelled.map((subclass) => subclass.class));
  const absent = head.rows.filter((row) => !present.has(row.class)).map((row) => ({ ...row, from: row.id }));
  const subclasses = [...labelled, ...absent];
  const rowOf = new Map(head.rows.map((row, r) => [key(row), r]));
  const sources = subclasses.map((subclass) => {
    const source = rowOf.get(key(subclass)) ?? rowOf.get(key({ class: subclass.class, id: subclass.from }));
    if (source !== undefined) return source;
    throw new ModelError({
      reason: { _tag: "UnknownSubclass", class: subclass.class },
      message:
        `sub-class ${subclass.id} of class ${subclass.class} is to start from sub-class ${subclass.from}, ` +
        "which the checkpoint's head does not have: labels and checkpoint are of different epochs",
    });
  });
  const heirs = new Int32Array(head.rows.length);
  for (const source of sources) heirs[source]! += 1;

  const { width } = head;
  const rows = subclasses.map(({ class: classIndex, id }) => ({ class: classIndex, id }));
  const kernel = zeros(rows.length * width);
  const bias = zeros(rows.length);
  const steps = new Int32Array(rows.length);
  sources.forEach((source, row) => {
    const from = source * width;
    const to = row * width;
    const parent = head.kernel.value.subarray(from, from + width);
    kernel.value.set(parent, to);
    bias.value[row] = head.bias.value[source]! - Math.log(heirs[source]!);
    if (rowOf.has(key(rows[row]!))) {
      kernel.first.set(head.kernel.first.subarray(from, from + width), to);
      kernel.second.set(head.kernel.second.subarray(from, from + width), to);
      bias.first[row] = head.bias.first[source]!;
      bias.second[row] = head.bias.second[source]!;
      steps[row] = head.steps[source]!;
    } else if (noise > 0) {
      const scale = noise * rootMeanSquare(parent);
      for (let i = to; i < to + width; i++) kernel.value[i]! += scale * random.normal();
    }
  });

  const shrunk = new Set(head.rows.filter((_, r) => heirs[r] === 0).map((row) => row.class));
  for (const classIndex of shrunk) {
    const [before, left] = [
      massOf(head.rows, head.bias.value, classIndex),
      massOf(rows, bias.value, classIndex),
    ];
    const rise = Math.log(before / left);
    rows.forEach((row, r) => {
      if (row.class === classIndex) bias.value[r]! += rise;
    });
  }
  return { rows, width, kernel, bias, steps };
};

/**
 * Probabilities of the classes (N × `classes`, row-major) from the logits of the sub-classes (N × rows): the softmax runs
 * over all rows, and a class has the sum of its sub-classes' probabilities.
 */
export const classProbabilities = (
  logits: Float32Array,
  rows: readonly HeadRow[],
  classes: number,
): Float32Array => {
  const images = logits.length / rows.length;
  const result = new Float32Array(images * classes);
  for (let n = 0; n < images; n++) {
    const ofImage = logits.subarray(n * rows.length, (n + 1) * rows.length);
    // The largest term is e⁰: nothing overflows.
    const highest = ofImage.reduce((a, b) => Math.max(a, b));
    const terms = rows.map((_, r) => Math.exp(ofImage[r]! - highest));
    const total = terms.reduce((a, b) => a + b);
    rows.forEach((row, r) => result[n * classes + row.class]! += terms[r]! / total);
  }
  return result;
};
