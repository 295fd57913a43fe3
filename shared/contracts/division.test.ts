import { expect } from "expect";
import fc from "fast-check";
import { batchesIn, divide, portionsOf } from "./mod.ts";

const numbers = (end: number) => Array.from({ length: end }, (_, i) => i);

Deno.test("shards and portions are the whole, each image once and in order, whatever its size", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 1, max: 1024 }), (images, batch) => {
      const division = divide(images, batch);
      const shards = numbers(division.shards).map((shard) => portionsOf(division, shard));
      const all = shards.flat();
      expect(division.shards).toBeLessThanOrEqual(16);
      expect(all[0]!.from).toBe(0);
      expect(all.at(-1)!.to).toBe(images);
      all.slice(1).forEach(({ from }, i) => expect(from).toBe(all[i]!.to));
      // the network sees the same batches as without division
      for (const { from, to } of all) {
        expect(from % batch).toBe(0);
        expect(to - from).toBeLessThanOrEqual(32 * batch);
      }
      expect(batchesIn(all, batch)).toBe(Math.ceil(images / batch));
      // nobody has much more to do than another
      const portions = shards.map(({ length }) => length);
      expect(Math.max(...portions) - Math.min(...portions)).toBeLessThanOrEqual(1);
      expect(Math.min(...portions)).toBeGreaterThan(0);
    }),
  );
});

Deno.test("a small step is one portion, a large one has portions of a bounded size", () => {
  expect(divide(16 * 256, 256)).toEqual({ images: 4096, batch: 256, portion: 4096, shards: 1 });
  expect(divide(4097, 256)).toMatchObject({ portion: 4096, shards: 2 });
  expect(divide(0, 256).shards).toBe(1);
  const large = divide(100_000, 32);
  expect(large).toMatchObject({ portion: 1024, shards: 16 });
  expect(portionsOf(large, 0)).toHaveLength(6);
});
