import type { SampleDepth } from "@subtaxa/contracts";
import { expect } from "expect";
import fc from "fast-check";
import type { Samples } from "./decode.ts";
import { borderMedian, greyOrRgb, toSquare } from "./pixels.ts";
import type { Image } from "./resample.ts";

const bits = (bits: number, offset = 0) => ({ bits, offset });

Deno.test("RGB with equal channels is grey, with one different pixel it isn't", () => {
  const grey = Uint8Array.of(1, 2, 3, 200);
  const rgb = Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 200, 200, 200]);
  expect(greyOrRgb({ width: 2, height: 2, channels: 3, data: rgb }, bits(16))).toEqual({
    image: { width: 2, height: 2, channels: 1, data: grey },
    deep: 0,
    clipped: 0,
  });
  const coloured = rgb.slice();
  coloured[11] = 199;
  const { image } = greyOrRgb({ width: 2, height: 2, channels: 3, data: coloured }, bits(16));
  expect(image.data).toEqual(coloured);
});

Deno.test("16-bit samples are scaled by the depth and offset of the dataset, and what lies outside is counted", () => {
  const scaled = (depth: SampleDepth, ...samples: number[]) => {
    const data = Uint16Array.from(samples);
    const { image, clipped } = greyOrRgb({ width: samples.length, height: 1, channels: 1, data }, depth);
    return [...image.data, clipped];
  };
  expect(scaled(bits(8), 0, 100, 255)).toEqual([0, 100, 255, 0]);
  expect(scaled(bits(10), 0, 256, 1023)).toEqual([0, 64, 255, 0]);
  expect(scaled(bits(12), 0, 2048, 4095, 4096, 65535)).toEqual([0, 128, 255, 255, 255, 2]);
  expect(scaled(bits(14), 0, 4095, 4096)).toEqual([0, 64, 64, 0]);
  expect(scaled(bits(16), 0, 257, 32768, 65535)).toEqual([0, 1, 128, 255, 0]);
  expect(scaled(bits(12, 32768), 0, 32767, 32768, 34816, 36863, 36864)).toEqual([0, 0, 0, 128, 255, 255, 3]);
});

Deno.test("transparent parts become white, half-transparent ones half white, 8 and 16 bit", () => {
  const laid = (samples: Samples, depth = bits(16)) => [...greyOrRgb(samples, depth).image.data];
  const grey = Uint8Array.of(10, 255, 10, 0, 0, 51);
  expect(laid({ width: 3, height: 1, channels: 2, data: grey })).toEqual([10, 255, 204]);
  const rgba = Uint8Array.of(10, 20, 30, 255, 0, 0, 0, 0);
  expect(laid({ width: 2, height: 1, channels: 4, data: rgba })).toEqual([10, 20, 30, 255, 255, 255]);
  // Alpha covers 16 bits, whatever the depth of the colours.
  const deep = Uint16Array.of(4095, 65535, 0, 65535, 2048, 0);
  expect(laid({ width: 3, height: 1, channels: 2, data: deep }, bits(12))).toEqual([255, 0, 255]);
});

const anyImage = fc.record({
  width: fc.integer({ min: 1, max: 9 }),
  height: fc.integer({ min: 1, max: 9 }),
  channels: fc.constantFrom(1 as const, 3 as const),
}).chain((shape) =>
  fc.uint8Array({
    minLength: shape.width * shape.height * shape.channels,
    maxLength: shape.width * shape.height * shape.channels,
  }).map((data): Image => ({ ...shape, data }))
);

Deno.test("the border's median: every outermost pixel once, the lower of the middle two", () => {
  fc.assert(fc.property(anyImage, (image) => {
    const { width, height, channels, data } = image;
    const expected = Array.from({ length: channels }, (_, c) => {
      const border: number[] = [];
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const isBorder = x === 0 || y === 0 || x === width - 1 || y === height - 1;
          if (isBorder) border.push(data[(y * width + x) * channels + c]!);
        }
      }
      return border.sort((a, b) => a - b)[Math.ceil(border.length / 2) - 1];
    });
    expect(borderMedian(image)).toEqual(expected);
  }));
});

Deno.test("a square holds the image in the middle on its border's median, never enlarged", () => {
  fc.assert(fc.property(anyImage, (image) => {
    const { width, height, channels, data } = image;
    const square = toSquare(image, 16);
    const side = Math.max(width, height);
    expect([square.width, square.height, square.channels]).toEqual([side, side, channels]);
    const left = Math.floor((side - width) / 2);
    const top = Math.floor((side - height) / 2);
    const background = borderMedian(image);
    square.data.forEach((value, i) => {
      const c = i % channels;
      const x = Math.floor(i / channels) % side - left;
      const y = Math.floor(i / channels / side) - top;
      const inside = x >= 0 && x < width && y >= 0 && y < height;
      expect(value).toBe(inside ? data[(y * width + x) * channels + c] : background[c]);
    });
  }));
});

Deno.test("a larger image is reduced to the longest side allowed, however long and thin", () => {
  const dark = new Uint8Array(400_000).fill(20);
  const line = toSquare({ width: 400_000, height: 1, channels: 1, data: dark }, 32);
  expect([line.width, line.height]).toEqual([32, 32]);
  expect([...new Set(line.data)]).toEqual([20]);
  // Left half 0, right half 100, the border's median 0. Pillow's BILINEAR on the padded square:
  const outer = [0, 0, 0, 0, 0, 0, 0, 0];
  const [edge, next] = [[0, 0, 0, 2, 11, 13, 13, 13], [0, 0, 0, 11, 77, 88, 88, 88]];
  const inner = [0, 0, 0, 13, 88, 100, 100, 100];
  const pillow = [outer, edge, next, inner, inner, next, edge, outer].flat();
  const data = Uint8Array.from({ length: 64 * 32 }, (_, i) => i % 64 < 32 ? 0 : 100);
  const reduced = toSquare({ width: 64, height: 32, channels: 1, data }, 8);
  reduced.data.forEach((value, i) => expect(Math.abs(value - pillow[i]!)).toBeLessThanOrEqual(1));
});
