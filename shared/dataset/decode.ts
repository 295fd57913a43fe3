import { JsColorType, Transformer } from "@napi-rs/image";
import { formatOf, type ImageHeader, type Orientation, readHeader } from "./headers/mod.ts";
import { detailOf, maxPixels, Unusable } from "./unusable.ts";

/** Decoded samples, rows from the top, channels interleaved: grey, grey + alpha, RGB or RGBA; 8 or 16 bit. */
export interface Samples {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint16Array;
  /** Whether other images follow in the file, which are not read. */
  readonly isStack?: boolean;
}

/**
 * Decodes a PNG, JPEG, WebP, TIFF, BMP, GIF or PNM file (recognised by content), turned upright by its orientation. Of animations and
 * stacks the first frame counts; colour profiles are ignored. Decoders are told what the header says, and what they give must
 * agree with it: no guess of a library is believed.
 *
 * @throws Unusable (a rejected promise) when the file is no such image, truncated, damaged or too large
 */
export const decode = async (bytes: Uint8Array): Promise<Samples> => {
  try {
    const header = readHeader(bytes);
    const samples = isCommon(header) ? decodeCommon(bytes) : await decodeRare(bytes, header);
    return { ...upright(checked(samples, header), header.orientation), isStack: header.isStack ?? false };
  } catch (cause) {
    if (cause instanceof Unusable) throw cause;
    const [detail] = cause instanceof RangeError
      ? ["its header breaks off"]
      : detailOf(cause).replace(/^Decode image failed /, "").split("\n");
    throw new Unusable(`truncated, damaged or unsupported ${formatOf(bytes)}: ${detail}`, { cause });
  }
};

/** What a decoder gave, if it is what the header says and all of it is there. Throws `Unusable` otherwise. */
export const checked = (samples: Samples, { size, channels, depth }: ImageHeader): Samples => {
  const { data } = samples;
  const differences = [
    size && (samples.width !== size.width || samples.height !== size.height) &&
    `${samples.width} × ${samples.height} pixels instead of ${size.width} × ${size.height}`,
    channels !== undefined && samples.channels !== channels &&
    `${samples.channels} channels instead of ${channels}`,
    ![1, 2, 3, 4].includes(samples.channels) && `${samples.channels} channels`,
    8 * data.BYTES_PER_ELEMENT !== depth && `${8 * data.BYTES_PER_ELEMENT} bits instead of ${depth}`,
    data.length !== samples.width * samples.height * samples.channels && `${data.length} samples`,
  ].filter((difference) => difference !== false && difference !== undefined);
  if (differences.length === 0) return samples;
  throw new Unusable(`decoded to something else than its header says: ${differences.join(", ")}`);
};

/**
 * PNG, BMP, PNM and most JPEG files are decoded by @napi-rs/image, the others by libvips. libvips alone would do for all but BMP
 * and PNM, at 4 to 6 times the time for a grey JPEG of 300 × 200 pixels (1.1 to 1.8 ms instead of 0.3), as it starts a thread's
 * job for each file. JPEG with fewer samples of the colours needs it: it enlarges them as Pillow and torchvision do, while
 * @napi-rs/image is up to 28 levels away, and CMYK, which is converted here.
 */
const isCommon = ({ format, isSubsampled, isCmyk }: ImageHeader): boolean =>
  ["PNG", "JPEG", "BMP", "PNM"].includes(format) && !isSubsampled && !isCmyk;

const layouts: Partial<Record<JsColorType, { channels: Samples["channels"]; depth: 8 | 16 }>> = {
  [JsColorType.L8]: { channels: 1, depth: 8 },
  [JsColorType.La8]: { channels: 2, depth: 8 },
  [JsColorType.Rgb8]: { channels: 3, depth: 8 },
  [JsColorType.Rgba8]: { channels: 4, depth: 8 },
  [JsColorType.L16]: { channels: 1, depth: 16 },
  [JsColorType.La16]: { channels: 2, depth: 16 },
  [JsColorType.Rgb16]: { channels: 3, depth: 16 },
  [JsColorType.Rgba16]: { channels: 4, depth: 16 },
};

const decodeCommon = (bytes: Uint8Array): Samples => {
  const image = new Transformer(bytes);
  const data = image.rawPixelsSync();
  const { width, height, colorType } = image.metadataSync();
  const layout = layouts[colorType];
  if (!layout) throw new Unusable("its samples have neither 8 nor 16 bits");
  return { width, height, channels: layout.channels, data: samplesOf(data, layout.depth) };
};

/** Loaded with the first image that needs it: it takes longer to start than many a dataset to read. */
const libvips = async () => {
  const { default: sharp } = await import("sharp");
  // Images are decoded side by side, each on one thread; no file is read twice, so nothing is worth caching.
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
};
let loaded: ReturnType<typeof libvips> | undefined;

/**
 * libvips guesses alpha from the number of channels; where the header declares none, what it adds is taken away. Its words about
 * a damaged file are those of whichever thread failed last, so that they are not repeated. Of a file that breaks off it fills
 * tiles with black unless every warning is an error.
 */
const decodeRare = async (bytes: Uint8Array, header: ImageHeader): Promise<Samples> => {
  const { format, channels, depth, isCmyk, isTiled, readable = bytes } = header;
  const sharp = await (loaded ??= libvips());
  const failOn = isTiled ? "warning" : "error";
  const image = sharp(readable, { failOn, ignoreIcc: true, limitInputPixels: maxPixels });
  const wide = depth === 16;
  // Grey with alpha is read as RGB with alpha: libvips gives only its first channel as it is.
  // Otherwise the inks go to RGB and back, by profiles.
  if (isCmyk) image.pipelineColourspace("cmyk");
  image.toColourspace(
    isCmyk ? "cmyk" : channels === 1 ? (wide ? "grey16" : "b-w") : (wide ? "rgb16" : "srgb"),
  );
  if (channels === 1 || (channels === 3 && !isCmyk)) image.removeAlpha();
  const { data, info } = await image.raw({ depth: wide ? "ushort" : "uchar" })
    .toBuffer({ resolveWithObject: true })
    .catch((cause) => {
      throw new Unusable(`truncated, damaged or unsupported ${format}: it can't be decoded`, { cause });
    });
  const samples: Samples = {
    width: info.width,
    height: info.height,
    channels: info.channels as Samples["channels"],
    data: samplesOf(data, depth),
  };
  if (isCmyk) return fromCmyk(samples);
  return channels === 2 && info.channels === 4 ? greyWithAlpha(samples) : samples;
};

/** RGB of inks from 0 to 255, as Pillow converts them: (255 − ink) × (255 − black) / 255. */
const fromCmyk = ({ width, height, channels, data }: Samples): Samples => {
  if (channels !== 4) throw new Unusable(`CMYK was decoded to ${channels} channels`);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const light = 255 - data[from + 3]!;
    for (let ink = 0; ink < 3; ink++, to++) rgb[to] = (255 - data[from + ink]!) * light / 255 + 0.5;
  }
  return { width, height, channels: 3, data: rgb };
};

/** The first and the last of four channels. */
const greyWithAlpha = ({ width, height, data }: Samples): Samples => ({
  width,
  height,
  channels: 2,
  data: data.filter((_, i) => i % 4 === 0 || i % 4 === 3),
});

/** A decoder's Buffer as a plain array, whose slices don't share its memory; 16-bit samples begin at an even place. */
const samplesOf = (buffer: Uint8Array, depth: 8 | 16): Samples["data"] => {
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (depth === 8) return bytes;
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
};

/** By orientation: where the upright image's pixel (x, y) lies in the stored one, of which w − 1 and h − 1 are given. */
const places: Record<Orientation, (x: number, y: number, right: number, bottom: number) => [number, number]> =
  {
    1: (x, y) => [x, y],
    2: (x, y, right) => [right - x, y],
    3: (x, y, right, bottom) => [right - x, bottom - y],
    4: (x, y, _, bottom) => [x, bottom - y],
    5: (x, y) => [y, x],
    6: (x, y, _, bottom) => [y, bottom - x],
    7: (x, y, right, bottom) => [right - y, bottom - x],
    8: (x, y, right) => [right - y, x],
  };

/** The image turned as its orientation says (Exif 3.0, table 4). */
const upright = (samples: Samples, orientation: Orientation): Samples => {
  if (orientation === 1) return samples;
  const { channels, data } = samples;
  const [width, height] = orientation < 5 ? [samples.width, samples.height] : [samples.height, samples.width];
  const place = places[orientation];
  const result = data.slice();
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [sx, sy] = place(x, y, samples.width - 1, samples.height - 1);
      const from = (sy * samples.width + sx) * channels;
      for (let c = 0; c < channels; c++, to++) result[to] = data[from + c]!;
    }
  }
  return { width, height, channels, data: result };
};
