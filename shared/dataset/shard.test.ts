import { expect } from "expect";
import fc from "fast-check";
import { readRecords, recordBytes, recordHeaderBytes, writeRecord } from "./shard.ts";
import type { Image } from "./resample.ts";

const anySquare = fc.record({
  side: fc.integer({ min: 1, max: 9 }),
  channels: fc.constantFrom(1 as const, 3 as const),
})
  .chain(({ side, channels }) => {
    const length = side * side * channels;
    return fc.uint8Array({ minLength: length, maxLength: length })
      .map((data): Image => ({ width: side, height: side, channels, data }));
  });

const shardOf = (images: readonly Image[]): Uint8Array => {
  const size = ({ width, channels }: Image) => recordBytes({ side: width, channels });
  const shard = new Uint8Array(images.reduce((sum, image) => sum + size(image), 0));
  let at = 0;
  for (const image of images) {
    writeRecord(image, shard.subarray(at));
    at += size(image);
  }
  return shard;
};

Deno.test("a shard gives back every image that was written, where it was written", () => {
  fc.assert(fc.property(fc.array(anySquare, { maxLength: 6 }), (images) => {
    const shard = shardOf(images);
    let at = 0;
    const records = readRecords(shard);
    for (const { width, channels, data } of images) {
      expect(records.get(at + recordHeaderBytes)).toMatchObject({ side: width, channels });
      at += recordHeaderBytes;
      expect(shard.subarray(at, at + data.length)).toEqual(data);
      at += data.length;
    }
    expect([records.size, at]).toEqual([images.length, shard.length]);
  }));
});

Deno.test("a shard is refused whichever bit of it changes, and wherever it is cut off", () => {
  fc.assert(
    fc.property(fc.array(anySquare, { minLength: 1, maxLength: 3 }), fc.nat(), (images, n) => {
      const shard = shardOf(images);
      const flipped = shard.slice();
      flipped[(n >> 3) % shard.length]! ^= 1 << (n & 7);
      expect(() => readRecords(flipped)).toThrow(RangeError);
      const ends = new Set([0]);
      let end = 0;
      for (const image of images) {
        ends.add(end += recordBytes({ side: image.width, channels: image.channels }));
      }
      const length = n % shard.length;
      if (ends.has(length)) expect(readRecords(shard.subarray(0, length)).size).toBeLessThan(images.length);
      else expect(() => readRecords(shard.subarray(0, length))).toThrow(RangeError);
    }),
    { numRuns: 300 },
  );
});

Deno.test("an image that has more or fewer pixels than it says is not written", () => {
  const target = new Uint8Array(200);
  const image = (width: number, height: number, length: number): Image => ({
    width,
    height,
    channels: 1,
    data: new Uint8Array(length),
  });
  for (const wrong of [image(4, 4, 15), image(4, 4, 17), image(4, 4, 48), image(4, 3, 12)]) {
    expect(() => writeRecord(wrong, target)).toThrow(/are no square of 4 × [34] pixels with 1 channels/);
  }
});
