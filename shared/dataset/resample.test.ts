import { expect } from "expect";
import fc from "fast-check";
import fixture from "./resample.fixture.json" with { type: "json" };
import { type Image, resizeSquare } from "./resample.ts";

/** Each output pixel as the sum over all pixels of the padded square, weighted by the triangle filter around it. */
const naive = ({ width, height, channels, data }: Image, side: number, background: number[]): number[] => {
  const total = Math.max(width, height);
  const left = Math.floor((total - width) / 2);
  const top = Math.floor((total - height) / 2);
  const scale = total / side;
  const support = Math.max(1, scale);
  const weightsOf = (cell: number) => {
    const weights = Array.from(
      { length: total },
      (_, pixel) => Math.max(0, 1 - Math.abs(pixel + 0.5 - (cell + 0.5) * scale) / support),
    );
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / sum);
  };
  const weights = Array.from({ length: side }, (_, cell) => weightsOf(cell));
  const result: number[] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let sy = 0; sy < total; sy++) {
          for (let sx = 0; sx < total; sx++) {
            const inside = sx >= left && sx < left + width && sy >= top && sy < top + height;
            const value = inside ? data[((sy - top) * width + sx - left) * channels + c]! : background[c]!;
            sum += weights[y]![sy]! * weights[x]![sx]! * value;
          }
        }
        result.push(sum);
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
      const result = resizeSquare(image, side, background);
      expect(result.length).toBe(expected.length);
      // Half a grey level is rounding; the rest is for sums that end next to a half.
      result.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(0.5 + 1e-6));
    }),
    { numRuns: 60 },
  );
});

Deno.test("lies within one level of Pillow's BILINEAR on the padded square", () => {
  for (const { width, height, channels, to, base64 } of fixture.cases) {
    const data = new Uint8Array(width * height * channels);
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++, i++) data[i] = (x * 37 + y * 101 + x * y * 13 + c * 59) % 256;
      }
    }
    const image: Image = { width, height, channels: channels === 3 ? 3 : 1, data };
    const result = resizeSquare(image, to, fixture.background);
    Uint8Array.fromBase64(base64).forEach((value, i) =>
      expect(Math.abs(value - result[i]!)).toBeLessThanOrEqual(1)
    );
  }
});

Deno.test("an image at its own size stays as it is", () => {
  fc.assert(fc.property(anyImage.filter(({ width, height }) => width === height), (image) => {
    expect(resizeSquare(image, image.width)).toEqual(image.data);
  }));
});
