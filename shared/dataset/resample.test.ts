import { expect } from "expect";
import fc from "fast-check";
import fixture from "./resample.fixture.json" with { type: "json" };
import { areaSquare, type Image } from "./resample.ts";

/** Each output pixel as the sum over all pixels of the padded square, weighted by overlap. */
const naive = ({ width, height, channels, data }: Image, side: number, background: number[]): number[] => {
  const total = Math.max(width, height);
  const left = Math.floor((total - width) / 2);
  const top = Math.floor((total - height) / 2);
  const scale = total / side;
  const overlap = (cell: number, pixel: number) =>
    Math.max(0, Math.min((cell + 1) * scale, pixel + 1) - Math.max(cell * scale, pixel));
  const result: number[] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let sy = 0; sy < total; sy++) {
          for (let sx = 0; sx < total; sx++) {
            const inside = sx >= left && sx < left + width && sy >= top && sy < top + height;
            const value = inside ? data[((sy - top) * width + sx - left) * channels + c]! : background[c]!;
            sum += overlap(y, sy) * overlap(x, sx) * value;
          }
        }
        result.push(sum / scale ** 2);
      }
    }
  }
  return result;
};

const anyImage = fc.record({
  width: fc.integer({ min: 1, max: 24 }),
  height: fc.integer({ min: 1, max: 24 }),
  channels: fc.constantFrom(1 as const, 3 as const),
}).chain((shape) =>
  fc.uint8Array({
    minLength: shape.width * shape.height * shape.channels,
    maxLength: shape.width * shape.height * shape.channels,
  }).map((data): Image => ({ ...shape, data }))
);
const colour = fc.tuple(
  fc.integer({ min: 0, max: 255 }),
  fc.integer({ min: 0, max: 255 }),
  fc.integer({ min: 0, max: 255 }),
);

Deno.test("equals the weighted sum over the padded square, shrinking and enlarging", () => {
  fc.assert(
    fc.property(anyImage, fc.integer({ min: 1, max: 30 }), colour, (image, side, background) => {
      const expected = naive(image, side, background);
      const result = areaSquare(image, side, background);
      expect(result.length).toBe(expected.length);
      // Half a grey level is rounding; the rest is for sums that end next to a half.
      result.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(0.5 + 1e-6));
    }),
    { numRuns: 60 },
  );
});

Deno.test("equals OpenCV's INTER_AREA where that shrinks a square", () => {
  for (const { side, to, channels, base64 } of fixture.cases) {
    const data = new Uint8Array(side * side * channels);
    for (let y = 0, i = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        for (let c = 0; c < channels; c++, i++) data[i] = (x * 37 + y * 101 + x * y * 13 + c * 59) % 256;
      }
    }
    const image: Image = { width: side, height: side, channels: channels === 3 ? 3 : 1, data };
    const result = areaSquare(image, to);
    const exact = naive(image, to, [0, 0, 0]);
    Uint8Array.fromBase64(base64).forEach((value, i) => {
      // Halves, which OpenCV rounds to even or, in single precision, misses.
      const isHalf = Math.abs(exact[i]! % 1 - 0.5) < 1e-4;
      expect(Math.abs(value - result[i]!)).toBeLessThanOrEqual(isHalf ? 1 : 0);
    });
  }
});

Deno.test("an image at its own size stays as it is", () => {
  fc.assert(fc.property(anyImage.filter(({ width, height }) => width === height), (image) => {
    expect(areaSquare(image, image.width)).toEqual(image.data);
  }));
});
