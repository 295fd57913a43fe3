import { expect } from "expect";
import fc from "fast-check";
import { random } from "./mod.ts";
import { splitmix64, xoshiro128 } from "./xoshiro.ts";

Deno.test("xoshiro128** gives the reference implementation's numbers", () => {
  // State 1, 2, 3, 4; the values of xoshiro128starstar.c 1.1 as Rust's rand_xoshiro tests them.
  const bits = xoshiro128([1, 2, 3, 4]);
  expect(Array.from({ length: 10 }, bits)).toEqual([
    11520,
    0,
    5927040,
    70819200,
    2031721883,
    1637235492,
    1287239034,
    3734860849,
    3729100597,
    4258142804,
  ]);
});

Deno.test("SplitMix64 gives the reference implementation's numbers", () => {
  // Seed 1234567; published on Rosetta Code, computed with splitmix64.c.
  let state = 1234567n;
  const outputs = Array.from({ length: 5 }, () => {
    const step = splitmix64(state);
    state = step.state;
    return step.output;
  });
  expect(outputs).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
    4593380528125082431n,
    16408922859458223821n,
  ]);
});

Deno.test("the same seed and stream repeat, any other differs", () => {
  const draw = (seed: number, ...stream: number[]) => {
    const source = random(seed, ...stream);
    return Array.from({ length: 8 }, () => source.integer(2 ** 32));
  };
  const streams = [[0], [1], [2 ** 31 - 1], [0, 0], [0, 1], [1, 0], [0, 1, 2], [0, 2, 1], [0, -1]] as const;
  const drawn = streams.map(([seed, ...stream]) => draw(seed, ...stream).join());
  expect(streams.map(([seed, ...stream]) => draw(seed, ...stream).join())).toEqual(drawn);
  expect(new Set(drawn).size).toBe(streams.length);
});

Deno.test("integers are uniform: chi-square over 7 cells", () => {
  const source = random(1);
  const counts = new Array<number>(7).fill(0);
  const draws = 70_000;
  for (let i = 0; i < draws; i++) counts[source.integer(7)]! += 1;
  const expected = draws / 7;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 0.999 quantile with 6 degrees of freedom.
  expect(chiSquare).toBeLessThan(22.46);
});

Deno.test("next is uniform in [0, 1), normal has mean 0, variance 1 and kurtosis 3", () => {
  const source = random(2);
  const n = 100_000;
  const uniform = Array.from({ length: n }, source.next);
  expect(uniform.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(uniform.reduce((a, b) => a + b) / n).toBeCloseTo(0.5, 2);
  const normal = Array.from({ length: n }, source.normal);
  const moment = (power: number) => normal.reduce((sum, value) => sum + value ** power, 0) / n;
  expect(Math.abs(moment(1))).toBeLessThan(0.01);
  expect(Math.abs(moment(2) - 1)).toBeLessThan(0.02);
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.12);
});

Deno.test("a shuffle is a permutation, of typed arrays too, and all orders occur equally often", () => {
  fc.assert(fc.property(fc.array(fc.integer()), fc.integer({ min: 0 }), (array, seed) => {
    const sorted = (values: number[]) => values.slice().sort((a, b) => a - b);
    expect(sorted(random(seed).shuffle(array.slice()))).toEqual(sorted(array));
  }));
  const source = random(3);
  const counts = new Map<string, number>();
  for (let i = 0; i < 24_000; i++) {
    const order = source.shuffle(Uint8Array.of(0, 1, 2, 3)).join();
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(24);
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // 0.999 quantile with 23 degrees of freedom.
  expect(chiSquare).toBeLessThan(49.73);
});
