import { random } from "@subtaxa/random";
import { expect } from "expect";
import { batch, type Images, symmetriesOf } from "./mod.ts";

const images = (side: number, channels: 1 | 3, count: number): Images => ({
  pixels: Uint8Array.from({ length: count * side * side * channels }, (_, i) => (i * 41 + (i >> 8)) % 256),
  side,
  channels,
  count,
});

/** The 8 symmetries of an image as nested arrays, by turning and mirroring. */
const turnedAndMirrored = <T>(rows: T[][]): T[][][] => {
  const turned = (rows: T[][]) => rows[0]!.map((_, x) => rows.map((row) => row[x]!).reverse());
  const mirrored = (rows: T[][]) => rows.map((row) => row.slice().reverse());
  const turns = [rows];
  while (turns.length < 4) turns.push(turned(turns.at(-1)!));
  return [...turns, ...turns.map(mirrored)];
};

const flatSymmetriesOf = ({ pixels, side, channels }: Images, index: number): string[] => {
  const size = side * side * channels;
  const pixel = (
    y: number,
    x: number,
  ) => [...pixels.subarray(index * size + (y * side + x) * channels).subarray(0, channels)];
  const rows = Array.from({ length: side }, (_, y) => Array.from({ length: side }, (_, x) => pixel(y, x)));
  return turnedAndMirrored(rows).map((rows) => rows.flat(2).join());
};

const bytesOf = (values: Float32Array): string =>
  Array.from(values, (value) => value * 255).map(Math.round).join();

Deno.test("without augmentation a batch holds the chosen images, in order, scaled to 0 … 1", () => {
  const source = images(3, 3, 4);
  const result = batch(source, [2, 0, 2]);
  expect(result.length).toBe(3 * 27);
  const at = (i: number) =>
    Array.from(source.pixels.subarray(i * 27, (i + 1) * 27), (v) => Math.fround(v / 255));
  expect([...result]).toEqual([...at(2), ...at(0), ...at(2)]);
});

Deno.test("levels: any channel, scaled and shifted in single precision, all 256", () => {
  const source: Images = {
    pixels: Uint8Array.from(
      { length: 768 },
      (_, i) => (i % 3 === 1 ? 255 - Math.floor(i / 3) : Math.floor(i / 3)),
    ),
    ...{ side: 16, channels: 3, count: 1 },
  };
  const { fround } = Math;
  const expected = Array.from({ length: 256 }, (_, level) => [
    fround(fround(fround((255 - level) / 255) * fround(0.3)) + fround(-0.7)),
    fround(fround(level / 255) * 255),
  ]);
  const levels = [{ channel: 1, scale: 0.3, offset: -0.7 }, { channel: 2, scale: 255, offset: 0 }];
  expect([...batch(source, [0], { augment: "none" }, levels)]).toEqual(expected.flat());
});

for (const channels of [1, 3] as const) {
  Deno.test(`flip-rotate gives exactly the 8 symmetries, equally often, ${channels} channel(s)`, () => {
    const source = images(4, channels, 3);
    const draws = 8000;
    const indices = Uint32Array.from({ length: draws }, (_, i) => i % 3);
    const result = batch(source, indices, { augment: "flip-rotate", random: random(5) });
    const symmetries = [0, 1, 2].map((index) => flatSymmetriesOf(source, index));
    expect(new Set(symmetries.flat()).size).toBe(24);
    const counts = new Array<number>(8).fill(0);
    const size = 16 * channels;
    for (let b = 0; b < draws; b++) {
      const symmetry = symmetries[b % 3]!.indexOf(bytesOf(result.subarray(b * size, (b + 1) * size)));
      expect(symmetry).toBeGreaterThanOrEqual(0);
      counts[symmetry]! += 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    // 0.999 quantile with 7 degrees of freedom.
    expect(chiSquare).toBeLessThan(24.33);
  });
}

for (const channels of [1, 3] as const) {
  Deno.test(`a fixed symmetry: the image, its mirror image, its rotations, all eight, ${channels} channel(s)`, () => {
    const source = images(4, channels, 3);
    const views = symmetriesOf[8].map((symmetry) => {
      const result = batch(source, [2, 0], { augment: "symmetry", symmetry });
      const size = 16 * channels;
      return [result.subarray(0, size), result.subarray(size)].map(bytesOf);
    });
    [2, 0].forEach((index, n) => {
      // four turns, then the mirror images of those
      const expected = flatSymmetriesOf(source, index);
      const of = (count: 1 | 2 | 4 | 8) => symmetriesOf[count].map((symmetry) => views[symmetry]![n]);
      expect(of(1)).toEqual([expected[0]]);
      expect(of(2)).toEqual([expected[0], expected[4]]);
      expect(of(4).toSorted()).toEqual(expected.slice(0, 4).toSorted());
      expect(of(8).toSorted()).toEqual(expected.toSorted());
    });
  });
}

Deno.test("the same seed gives the same batch", () => {
  const source = images(8, 1, 20);
  const draw = (seed: number) =>
    batch(source, [...Array(20).keys()], { augment: "flip-rotate", random: random(seed) }).slice();
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});
