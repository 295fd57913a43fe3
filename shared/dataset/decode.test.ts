import { expect } from "expect";
import fc from "fast-check";
import sharp from "sharp";
import { checked, decode, type Samples } from "./decode.ts";
import { bmp, tiff } from "./testing.ts";
import { Unusable } from "./unusable.ts";

const width = 13;
const height = 9;
const grey = Uint8Array.from({ length: width * height }, (_, i) => (i * 23) % 256);
const rgb = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 29 + (i % 3) * 71) % 256);
const grey16 = Uint16Array.from({ length: width * height }, (_, i) => (i * 5003) % 65536);
const rgb16 = Uint16Array.from({ length: 3 * width * height }, (_, i) => (i * 7001) % 65536);

const from = (data: Uint8Array | Uint16Array, channels: 1 | 2 | 3 | 4) =>
  sharp(data, { raw: { width, height, channels } });
const rgbJpeg = () => from(rgb, 3).jpeg({ quality: 90 }).toBuffer();
const rgbPng = () => from(rgb, 3).png().toBuffer();

const pnm = (magic: string, samples: Uint8Array): Uint8Array =>
  Uint8Array.from([...new TextEncoder().encode(`${magic} # made up\n${width}\n${height} 255\n`), ...samples]);

const greyImage = from(grey, 1).toColourspace("b-w");
const lossless: Record<
  string,
  [file: () => Promise<Uint8Array> | Uint8Array, data: Uint8Array | Uint16Array]
> = {
  "PNG, grey": [() => greyImage.clone().png().toBuffer(), grey],
  "PNG, RGB": [rgbPng, rgb],
  "PNG, interlaced": [() => from(rgb, 3).png({ progressive: true }).toBuffer(), rgb],
  "PNG, 16 bit": [() => from(rgb16, 3).toColourspace("rgb16").png().toBuffer(), rgb16],
  "WebP, lossless": [() => from(rgb, 3).webp({ lossless: true, exact: true }).toBuffer(), rgb],
  "TIFF, grey": [() => tiff(width, height, grey), grey],
  "TIFF, RGB": [() => tiff(width, height, rgb), rgb],
  "TIFF, grey 16 bit": [() => tiff(width, height, grey16), grey16],
  "TIFF, RGB 16 bit": [() => tiff(width, height, rgb16), rgb16],
  "TIFF, LZW": [() => greyImage.clone().tiff({ compression: "lzw" }).toBuffer(), grey],
  "TIFF, deflate with predictor": [
    () => from(rgb, 3).tiff({ compression: "deflate", predictor: "horizontal" }).toBuffer(),
    rgb,
  ],
  "TIFF, tiled": [
    () => from(rgb, 3).tiff({ compression: "none", tile: true, tileWidth: 16, tileHeight: 16 }).toBuffer(),
    rgb,
  ],
  "BMP": [() => bmp(width, height, rgb), rgb],
  "PGM": [() => pnm("P5", grey), grey],
  "PPM": [() => pnm("P6", rgb), rgb],
};
for (const [name, [file, data]] of Object.entries(lossless)) {
  Deno.test(`${name} gives the exact samples`, async () => {
    const samples = await decode(await file());
    expect([samples.width, samples.height, samples.channels]).toEqual([
      width,
      height,
      data.length / (width * height),
    ]);
    expect(samples.data.BYTES_PER_ELEMENT).toBe(data.BYTES_PER_ELEMENT);
    expect(Array.from(samples.data)).toEqual(Array.from(data));
  });
}

Deno.test("JPEG: the samples of libjpeg-turbo within 4 grey levels, baseline and progressive, grey stays grey", async () => {
  for (const progressive of [false, true]) {
    for (const image of [from(rgb, 3), greyImage.clone()]) {
      const file = await image.jpeg({ quality: 95, chromaSubsampling: "4:4:4", progressive }).toBuffer();
      const samples = await decode(file);
      const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
      const step = info.channels / samples.channels;
      expect(data.length / step).toBe(samples.data.length);
      samples.data.forEach((value, i) => expect(Math.abs(value - data[i * step]!)).toBeLessThanOrEqual(4));
    }
  }
  expect((await decode(await greyImage.clone().jpeg().toBuffer())).channels).toBe(1);
});

Deno.test("EXIF orientation is applied in every format that has it", async () => {
  const turned = from(rgb, 3).withMetadata({ orientation: 6 });
  const upright = Array.from(await from(rgb, 3).rotate(90).raw().toBuffer());
  for (
    const file of [
      turned.clone().png(),
      turned.clone().webp({ lossless: true }),
      turned.clone().tiff({ compression: "lzw" }),
    ]
  ) {
    const samples = await decode(await file.toBuffer());
    expect([samples.width, samples.height]).toEqual([height, width]);
    expect(Array.from(samples.data)).toEqual(upright);
  }
  const jpeg = await decode(
    await turned.clone().jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer(),
  );
  expect([jpeg.width, jpeg.height]).toEqual([height, width]);
  jpeg.data.forEach((value, i) => expect(Math.abs(value - upright[i]!)).toBeLessThanOrEqual(8));
});

Deno.test("alpha is kept for later", async () => {
  const rgba = Uint8Array.from({ length: 4 * width * height }, (_, i) => (i * 31) % 256);
  for (const file of [from(rgba, 4).png(), from(rgba, 4).tiff({ compression: "lzw" })]) {
    const samples = await decode(await file.toBuffer());
    expect(samples.channels).toBe(4);
    expect(Array.from(samples.data)).toEqual(Array.from(rgba));
  }
});

const reasonOf = (bytes: Uint8Array): Promise<string> =>
  decode(bytes).then(
    () => "decoded",
    (cause) => cause instanceof Unusable ? cause.message : Promise.reject(cause),
  );

const whole: Record<string, () => Promise<Uint8Array> | Uint8Array> = {
  JPEG: rgbJpeg,
  "progressive JPEG": () => from(rgb, 3).jpeg({ progressive: true }).toBuffer(),
  "grey JPEG": () => greyImage.clone().jpeg().toBuffer(),
  PNG: rgbPng,
  WebP: () => from(rgb, 3).webp().toBuffer(),
  TIFF: () => tiff(width, height, rgb),
  BMP: () => bmp(width, height, rgb),
};
for (const [format, file] of Object.entries(whole)) {
  Deno.test(`a ${format} cut off anywhere is refused with a reason`, async () => {
    const bytes = await file();
    // The last 16 bytes: a PNG's end chunk and the padding of a BMP's last row hold no pixels.
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 12, max: bytes.length - 16 }), async (length) => {
        const reason = await reasonOf(bytes.subarray(0, length));
        expect(reason).toMatch(/^(truncated|damaged)/);
      }),
      { numRuns: 40 },
    );
  });
}

Deno.test("damaged bytes never do worse than a reason or an image", async () => {
  const files = await Promise.all(Object.values(whole).map((file) => file()));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.nat(),
      fc.uint8Array({ maxLength: 8 }),
      async (file, at, noise) => {
        const damaged = file.slice();
        damaged.set(noise.subarray(0, file.length - at % file.length), at % file.length);
        await reasonOf(damaged);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("content that is no image, whatever the name, says so", async () => {
  for (const text of ["hello", "GIF88a............", "<svg xmlns='http://www.w3.org/2000/svg'/>"]) {
    expect(await reasonOf(new TextEncoder().encode(text))).toMatch(
      /no PNG, JPEG, WebP, TIFF, BMP, GIF or PNM image/,
    );
  }
});

Deno.test("images with too many pixels are refused before they are decoded", async () => {
  const png = new Uint8Array(await rgbPng());
  new DataView(png.buffer).setUint32(16, 100_000);
  new DataView(png.buffer).setUint32(20, 100_000);
  const jpeg = new Uint8Array(await rgbJpeg());
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
  new DataView(jpeg.buffer).setUint32(frame + 5, 0xfff0fff0);
  const bitmap = bmp(width, height, rgb).slice();
  new DataView(bitmap.buffer).setInt32(22, -100_000_000, true);
  const large = tiff(width, height, grey).slice();
  new DataView(large.buffer).setUint32(18, 100_000, true);
  new DataView(large.buffer).setUint32(30, 100_000, true);
  for (const file of [png, jpeg, bitmap, large]) expect(await reasonOf(file)).toMatch(/pixel/);
});

Deno.test("samples other than 8 and 16 bit integers are refused by their type", async () => {
  const file = tiff(width, height, Float32Array.from(grey));
  expect(await reasonOf(file)).toBe(
    "its samples are 32-bit floating point: save it as grey or RGB with 8 or 16 unsigned bits per sample",
  );
});

Deno.test("what a decoder gives is refused where it differs from the header", () => {
  const header = {
    format: "TIFF",
    size: { width: 2, height: 3 },
    channels: 1,
    depth: 8,
    orientation: 1,
  } as const;
  const samples = { width: 2, height: 3, channels: 1, data: new Uint8Array(6) } as const;
  expect(checked(samples, header)).toBe(samples);
  const differences: [Partial<Samples>, string][] = [
    [{ width: 3, height: 2 }, "3 × 2 pixels instead of 2 × 3"],
    [{ channels: 3, data: new Uint8Array(18) }, "3 channels instead of 1"],
    [{ data: new Uint16Array(6) }, "16 bits instead of 8"],
    [{ data: new Uint8Array(30) }, "30 samples"],
    [{ data: new Uint8Array(5) }, "5 samples"],
  ];
  for (const [change, message] of differences) {
    expect(() => checked({ ...samples, ...change }, header)).toThrow(
      `decoded to something else than its header says: ${message}`,
    );
  }
  const { size: _, channels: __, ...unsaid } = header;
  const five = { ...samples, channels: 5, data: new Uint8Array(30) } as unknown as Samples;
  expect(() => checked(five, unsaid)).toThrow("5 channels");
});
