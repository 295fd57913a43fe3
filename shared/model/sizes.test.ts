import { expect } from "expect";
import { logSizes, sizeScalingOf, standardise } from "./mod.ts";

type Image = Parameters<typeof logSizes>[0]["images"][number];

const sides = [[300, 40], [12, 57], [80, 80], [33, 900], [5, 5], [200, 100]] as const;
const images = sides.map(([width, height]) => ({ width, height }) as Image);

Deno.test("size features are logarithms in µm, or in pixels, standardised on the training images", () => {
  for (const pixelSize of [null, 3.45]) {
    const sizes = logSizes({ images, pixelSize });
    const train = Uint32Array.of(0, 1, 3, 5);
    const rows = sides.map(([width, height]) => {
      const [w, h] = [width * (pixelSize ?? 1), height * (pixelSize ?? 1)];
      return [Math.log(Math.max(w, h)), Math.log(Math.min(w, h)), Math.log(Math.max(w, h) / Math.min(w, h))];
    });
    rows.flat().forEach((value, i) => expect(sizes[i]).toBeCloseTo(value, 5));

    const all = [4, 0, 2, 1, 3, 5];
    const actual = standardise(sizes, all, sizeScalingOf(sizes, train));
    const figures = [0, 1, 2].map((column) => {
      const values = [...train].map((image) => rows[image]![column]!);
      const mean = values.reduce((a, b) => a + b) / values.length;
      return {
        mean,
        deviation: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length),
      };
    });
    const expected = all.flatMap((image) =>
      figures.map(({ mean, deviation }, column) => (rows[image]![column]! - mean) / deviation)
    );
    expected.forEach((value, i) => expect(actual[i]).toBeCloseTo(value, 4));
  }
});

Deno.test("what is constant in training is 0, and no image is further than 5 deviations from the mean", () => {
  const squares = Array.from({ length: 100 }, () => ({ width: 64, height: 64 }) as Image);
  const sizes = logSizes({
    images: [...squares, { width: 65, height: 64 } as Image, { width: 6400, height: 64 } as Image],
    pixelSize: 0.1,
  });
  const scaling = (count: number) => sizeScalingOf(sizes, Uint32Array.from({ length: count }, (_, i) => i));
  expect(scaling(100).deviation).toEqual([0, 0, 0]);
  expect([...standardise(sizes, [0, 100, 101], scaling(100))]).toEqual(Array(9).fill(0));
  // one image of 101 differs, by ten deviations
  expect([...standardise(sizes, [100, 101], scaling(101))]).toEqual([5, 0, 5, 5, 0, 5]);
});
