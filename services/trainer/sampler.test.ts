import { random } from "@subtaxa/random";
import { expect } from "expect";
import fc from "fast-check";
import { groupedBatches, shuffledBatches } from "./sampler.ts";

Deno.test("every position comes once, but a single one left over", () => {
  fc.assert(fc.property(
    fc.integer({ min: 2, max: 300 }),
    fc.integer({ min: 2, max: 64 }),
    fc.integer({ min: 0 }),
    (count, batchSize, seed) => {
      const batches = shuffledBatches(count, batchSize, random(seed));
      const positions = batches.flatMap((batch) => [...batch]);
      expect(new Set(positions).size).toBe(positions.length);
      expect(positions.length).toBe(count % batchSize === 1 ? count - 1 : count);
      expect(batches.slice(0, -1).every((batch) => batch.length === batchSize)).toBe(true);
      expect(batches.at(-1)!.length).toBeGreaterThan(1);
    },
  ));
});

Deno.test("the order follows the random stream", () => {
  const order = (...stream: [number, ...number[]]) => shuffledBatches(100, 10, random(...stream)).join(";");
  expect(order(1, 0, 3)).toBe(order(1, 0, 3));
  expect(new Set([order(1, 0, 3), order(1, 0, 4), order(2, 0, 3), order(1, 1, 3)]).size).toBe(4);
});

/** Classes of very different sizes, K and batch size; the positions of the classes are mixed. */
const epoch = fc.record({
  sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 300 })), {
    minLength: 1,
    maxLength: 30,
  }),
  batchSize: fc.integer({ min: 2, max: 96 }),
  imagesPerClass: fc.integer({ min: 2, max: 12 }),
  seed: fc.nat(),
}).map(({ sizes, seed, ...settings }) => {
  const rows = sizes.flatMap((size, row) => new Array<number>(size).fill(row));
  return { sizes, rows: random(seed).shuffle(rows), seed, ...settings };
});

const countsIn = (batch: Iterable<number>) => {
  const counts = new Map<number, number>();
  for (const item of batch) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
};

Deno.test("grouped batches hold every position, in whole groups of K spread evenly over the batches", () => {
  fc.assert(
    fc.property(epoch, ({ sizes, rows, batchSize, imagesPerClass, seed }) => {
      const batches = groupedBatches(rows, batchSize, imagesPerClass, random(seed, 1));
      const k = Math.max(1, Math.min(imagesPerClass, Math.floor(batchSize / 2)));
      expect(new Set(batches.flatMap((batch) => [...batch])).size).toBe(rows.length);

      const lengths = batches.map((batch) => batch.length);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(Math.max(batchSize, 2 * k));
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(k);

      const perBatch = batches.map((batch) => countsIn([...batch].map((position) => rows[position]!)));
      for (const row of sizes.keys()) {
        const images = perBatch.map((counts) => counts.get(row) ?? 0);
        expect(images.every((count) => count % k === 0)).toBe(true);
        expect(Math.max(...images) - Math.min(...images)).toBeLessThanOrEqual(k);
      }
      if (sizes.length > 1) expect(perBatch.every((counts) => counts.size > 1)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

Deno.test("where no class dominates, grouped batches have K different images each of different classes", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 6 }),
      fc.integer({ min: 2, max: 12 }),
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 7 }),
      fc.nat(),
      (k, p, more, groups, seed) => {
        // As many classes as a batch has groups, or more, and each of about as many images.
        const source = random(seed);
        const sizes = Array.from({ length: p + more }, () => k * groups - source.integer(k));
        const rows = sizes.flatMap((size, row) => new Array<number>(size).fill(row));
        const batches = groupedBatches(rows, p * k, k, source);
        const total = batches.reduce((sum, batch) => sum + batch.length, 0);
        for (const batch of batches) {
          const counts = countsIn([...batch].map((position) => rows[position]!));
          expect(new Set(counts.values())).toEqual(new Set([k]));
          expect(new Set(batch).size === batch.length || groups === 1).toBe(true);
        }
        // As long as a shuffled epoch, but for filled-up groups and at most one more to even a batch out.
        expect(total).toBeLessThan(rows.length + k * sizes.length + k);
        expect(batches.length).toBeLessThanOrEqual(Math.ceil(total / (p * k)));
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("a class of fewer than K images fills its group up with its own; a dominating class goes into every batch", () => {
  const [few] = groupedBatches([0, 0, 1, 1, 1, 1], 8, 4, random(1));
  expect([...few!].toSorted()).toEqual([0, 0, 1, 1, 2, 3, 4, 5]);
  const rows = Array.from({ length: 202 }, (_, position) => Number(position >= 200));
  const batches = groupedBatches(rows, 16, 2, random(1));
  expect(batches.length).toBe(15); // 100 groups of the large class, and one of the small class in each batch
  expect(batches.every((batch) => batch.includes(200) && batch.includes(201))).toBe(true);
  const alone = groupedBatches([3, 3, 3], 4, 2, random(1)).flatMap((batch) => [...batch]);
  expect([alone.length, new Set(alone).size]).toEqual([4, 3]);
  expect(groupedBatches([], 4, 2, random(1))).toEqual([]);
});

Deno.test("grouped batches follow the random stream", () => {
  const rows = Array.from({ length: 120 }, (_, position) => position % 7);
  const order = (...stream: [number, ...number[]]) =>
    groupedBatches(rows, 12, 2, random(...stream)).join(";");
  expect(order(1, 0, 3)).toBe(order(1, 0, 3));
  expect(new Set([order(1, 0, 3), order(1, 0, 4), order(2, 0, 3), order(1, 1, 3)]).size).toBe(4);
});
