import { random } from "@subtaxa/random";
import { expect } from "expect";
import fc from "fast-check";
import { shuffledBatches } from "./sampler.ts";

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
