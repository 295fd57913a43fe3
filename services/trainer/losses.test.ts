import { Mining } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { tf } from "@subtaxa/tensorflow";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import { expect } from "expect";
import fc from "fast-check";
import fixture from "./triplets.fixture.json" with { type: "json" };
import { crossEntropy, groupSensitiveTriplets, tripletLoss } from "./losses.ts";

type Row = readonly number[];
type Rows = readonly Row[];

/** Distances anchor–positive and anchor–negative. */
interface Triplet {
  readonly positive: number;
  readonly negative: number;
}

/** What the fixture was made with. */
const subclassMargin = 0.5;

const norm = (x: Row) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
const mean = (values: Row) => values.reduce((a, b) => a + b, 0) / Math.max(values.length, 1);
const distance = (a: Row, b: Row) => norm(a.map((value, i) => value - b[i]!));
const unitRows = (rows: Rows) => rows.map((row) => row.map((value) => value / Math.max(norm(row), 1e-12)));
const best = <T>(items: readonly T[], better: (a: T, b: T) => boolean): T =>
  items.reduce((kept, item) => better(item, kept) ? item : kept);

const figuresOf = (triplets: readonly Triplet[], margin: number) => {
  const losses = triplets.map(({ positive, negative }) => Math.max(positive - negative + margin, 0));
  return [
    mean(losses),
    mean(losses.map((loss) => Number(loss > 0))),
    mean(triplets.map((triplet) => triplet.positive)),
    mean(triplets.map((triplet) => triplet.negative)),
    triplets.length,
  ] as const;
};

/** Equation (1) over the triplets that a miner keeps of all of a batch's, one by one, in double precision. */
const naive = (rows: Rows, labels: Row, mining: Mining, margin: number): readonly number[] => {
  const unit = unitRows(rows);
  const kept = labels.flatMap((label, a) => {
    const pairs = labels.flatMap((other, p) =>
      p === a || other !== label ? [] : [
        labels.flatMap((third, n) =>
          third === label
            ? []
            : [{ positive: distance(unit[a]!, unit[p]!), negative: distance(unit[a]!, unit[n]!) }]
        ),
      ]
    ).filter((triplets) => triplets.length > 0);
    switch (mining) {
      case "all":
        return pairs.flat();
      case "batch-hard":
        return pairs.length === 0
          ? []
          : [best(pairs.flat(), (t, u) => t.positive - t.negative > u.positive - u.negative)];
      case "semi-hard":
        return pairs.map((triplets) => {
          const farther = triplets.filter(({ positive, negative }) => negative > positive);
          return farther.length > 0
            ? best(farther, (t, u) => t.negative < u.negative)
            : best(triplets, (t, u) => t.negative > u.negative);
        });
    }
  });
  const [loss, ...others] = figuresOf(kept, margin);
  return [mining === "all" ? loss / (others[0] || 1) : loss, ...others];
};

/** GS-TRS group by group: the mean of two or more images against the nearest of the others. */
const naiveGroups = (rows: Rows, classes: Row, subclasses: Row, margin: number): readonly number[] => {
  const unit = unitRows(rows);
  const level = (groups: Row, isOther: (image: number, member: number) => boolean) =>
    [...new Set(groups)].flatMap((label) => {
      const members = unit.filter((_, i) => groups[i] === label);
      const others = unit.filter((_, i) => isOther(i, groups.indexOf(label)));
      if (members.length < 2 || others.length === 0) return [];
      const anchor = members[0]!.map((_, d) => mean(members.map((row) => row[d]!)));
      const negative = Math.min(...others.map((row) => distance(anchor, row)));
      return members.map((row) => ({ positive: distance(anchor, row), negative }));
    });
  const [loss, ...others] = figuresOf(level(classes, (i, m) => classes[i] !== classes[m]), margin);
  const within = level(subclasses, (i, m) => classes[i] === classes[m] && subclasses[i] !== subclasses[m]);
  return [loss + figuresOf(within, subclassMargin * margin)[0], ...others];
};

/** How far a gradient may be from the numerical one, which is exact to about 1e-6 where the loss is smooth. */
const GRADIENT_TOLERANCE = 1e-4;

/**
 * Undefined where the loss bends or jumps next to the embeddings, so that it has no one gradient. A bend below the
 * tolerance is left: either side's slope is then within half of it.
 */
const numericalGradient = (rows: Rows, loss: (rows: Rows) => readonly number[], step = 2e-5) => {
  const here = loss(rows)[0]!;
  const slopes = rows.flatMap((row, n) =>
    row.map((_, i) => {
      const [up, down] = [step, -step].map((shift) =>
        loss(rows.map((r, m) => m === n ? r.map((v, j) => j === i ? v + shift : v) : r))[0]!
      );
      return { ahead: (up! - here) / step, behind: (here - down!) / step };
    })
  );
  const smooth = slopes.every(({ ahead, behind }) => Math.abs(ahead - behind) < GRADIENT_TOLERANCE);
  return smooth ? slopes.map(({ ahead, behind }) => (ahead + behind) / 2) : undefined;
};

const evaluate = (rows: Rows, loss: (embeddings: Tensor2D) => Tensor1D) =>
  tf.tidy(() => {
    const x = tf.tensor2d(rows.map((row) => [...row]));
    const gradient = tf.grad((e) => tf.slice1d(loss(e as Tensor2D), 0, 1).asScalar())(x);
    return { value: [...loss(x).dataSync()], gradient: [...gradient.dataSync()] };
  });
const integers = (values: Row) => tf.tensor1d([...values], "int32");
const mined = (labels: Row, mining: Mining, margin: number) => (embeddings: Tensor2D) =>
  tripletLoss(embeddings, integers(labels), { mining, margin });
const grouped = (classes: Row, subclasses: Row, margin: number) => (embeddings: Tensor2D) =>
  groupSensitiveTriplets(embeddings, integers(classes), integers(subclasses), { margin, subclassMargin });

const expectClose = (actual: readonly number[], wanted: readonly number[], tolerance: number) => {
  expect(actual).toHaveLength(wanted.length);
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - wanted[i]!)));
  expect(worst).toBeLessThan(tolerance);
};

const batch = fc.record({
  count: fc.integer({ min: 2, max: 12 }),
  classes: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(10_000),
  margin: fc.constantFrom(0.05, 0.2, 1),
  spread: fc.constantFrom(0.3, 1, 3),
}).map(({ count, classes, seed, margin, spread }) => {
  const source = random(seed);
  const rows = Array.from(
    { length: count },
    () => Array.from({ length: 5 }, (_, d) => spread * source.normal() + d),
  );
  const labels = rows.map(() => source.integer(classes));
  return { rows, labels, subclasses: labels.map((label) => 2 * label + source.integer(2)), margin };
});

const compare = (
  rows: Rows,
  naive: (rows: Rows) => readonly number[],
  loss: (embeddings: Tensor2D) => Tensor1D,
) => {
  const wanted = numericalGradient(rows, naive);
  fc.pre(wanted !== undefined);
  const { value, gradient } = evaluate(rows, loss);
  expectClose(value, naive(rows), 2e-5);
  expectClose(gradient, wanted!, GRADIENT_TOLERANCE);
};

for (const mining of Mining.options) {
  Deno.test(`${mining}: value and gradient are those of a loop over all triplets`, () => {
    fc.assert(
      fc.property(batch, ({ rows, labels, margin }) => {
        compare(rows, (rows) => naive(rows, labels, mining, margin), mined(labels, mining, margin));
      }),
      { numRuns: 60 },
    );
  });
}

Deno.test("GS-TRS: value and gradient, through the mean anchors too, are those of a loop over the groups", () => {
  fc.assert(
    fc.property(batch, ({ rows, labels, subclasses, margin }) => {
      compare(
        rows,
        (rows) => naiveGroups(rows, labels, subclasses, margin),
        grouped(labels, subclasses, margin),
      );
    }),
    { numRuns: 60 },
  );
});

const losses = (classes: Row, subclasses: Row, margin: number) => ({
  "batch-hard": mined(subclasses, "batch-hard", margin),
  "semi-hard": mined(subclasses, "semi-hard", margin),
  all: mined(subclasses, "all", margin),
  "group-sensitive": grouped(classes, subclasses, margin),
});

for (const [name, loss] of Object.entries(losses(fixture.classes, fixture.subclasses, fixture.margin))) {
  Deno.test(`${name}: value and gradient are PyTorch's`, () => {
    const { value, gradient } = evaluate(fixture.embeddings, loss);
    const wanted = fixture.losses[name as keyof typeof fixture.losses];
    expectClose(value, wanted.value, 1e-5);
    expectClose(gradient, wanted.gradient, 1e-5);
  });
}

Deno.test("a batch without any triplet has loss 0 and gradient 0", () => {
  const rows = [[1, 2, 3], [-1, 0.5, 2], [0.1, 0.2, -3]];
  for (const labels of [[0, 1, 2], [4, 4, 4]]) {
    for (const loss of Object.values(losses(labels, labels, 0.2))) {
      const { value, gradient } = evaluate(rows, loss);
      expect(value).toEqual([0, 0, 0, 0, 0]);
      expect(gradient.every((g) => Math.abs(g) === 0)).toBe(true);
    }
  }
});

Deno.test("equal and zero embeddings have finite gradients", () => {
  for (
    const rows of [
      [[1, 0], [1, 0], [1, 0], [0, 1]],
      [[0, 0], [0, 0], [0, 0], [1, 1]],
      new Array(4).fill([3, 4]),
    ]
  ) {
    for (const loss of Object.values(losses([0, 0, 1, 1], [0, 0, 1, 1], 0.2))) {
      const { value, gradient } = evaluate(rows, loss);
      expect([...value, ...gradient].every(Number.isFinite)).toBe(true);
      expect(value[0]).toBeGreaterThan(0);
    }
  }
});

Deno.test("an embedding that is not a number is not hidden", () => {
  for (const loss of Object.values(losses([0, 0, 1, 1], [0, 0, 1, 1], 0.2))) {
    expect(evaluate([[1, 2], [NaN, 1], [2, 1], [3, 3]], loss).value[0]).toBeNaN();
  }
});

Deno.test("the largest batch there can be is no trouble, and leaves no tensor behind", () => {
  const [count, width] = [1024, 8];
  const labels = Array.from({ length: count }, (_, i) => i % 7);
  const rows = labels.map((label, i) =>
    Array.from({ length: width }, (_, d) => Math.sin(label + d) + 0.1 * Math.sin(i * d))
  );
  const before = tf.memory().numTensors;
  for (const [name, loss] of Object.entries(losses(labels.map((label) => label % 3), labels, 0.2))) {
    const { value } = evaluate(rows, loss);
    if (name === "all") {
      expect(value[4]).toBe(labels.reduce((sum, label) => {
        const same = labels.filter((other) => other === label).length;
        return sum + (same - 1) * (count - same);
      }, 0));
    }
    expect(value[0]).toBeGreaterThan(0);
  }
  expect(tf.memory().numTensors).toBe(before);
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
