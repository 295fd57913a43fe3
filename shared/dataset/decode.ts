import { JsColorType, Transformer } from "@napi-rs/image";
import { checkHeader, formatOf, hasExif } from "./format.ts";
import { detailOf, maxPixels, Unusable } from "./unusable.ts";

/** Decoded samples, rows from the top, channels interleaved: grey, grey + alpha, RGB or RGBA; 8 or 16 bit. */
export interface Samples {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly data: Uint8Array | Uint16Array;
}

/**
 * Decodes a PNG, JPEG, WebP, TIFF or BMP file (recognised by content), turned upright by its EXIF orientation. Of
 * animations and stacks the first frame counts; colour profiles are ignored.
 * @throws Unusable (a rejected promise) when the file is no such image, truncated, damaged or too large
 */
export const decode = async (bytes: Uint8Array): Promise<Samples> => {
  const format = formatOf(bytes);
  if (!format) throw new Unusable("the content is no PNG, JPEG, WebP, TIFF or BMP image");
  try {
    return (format === "PNG" && !hasExif(bytes, format)) || format === "JPEG" || format === "BMP"
      ? decodeCommon(bytes, format)
      : await decodeRare(bytes);
  } catch (cause) {
    if (cause instanceof Unusable) throw cause;
    const [detail] = detailOf(cause).replace(/^Decode image failed /, "").split("\n");
    throw new Unusable(`truncated, damaged or unsupported ${format}: ${detail}`, { cause });
  }
};

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

/** The formats that most datasets consist of, by a decoder with little overhead per file. */
const decodeCommon = (bytes: Uint8Array, format: "PNG" | "JPEG" | "BMP"): Samples => {
  checkHeader(bytes, format);
  const image = new Transformer(bytes);
  if (format === "JPEG" && hasExif(bytes, format)) image.rotate(); // it copies, also where nothing is to be turned
  const data = image.rawPixelsSync();
  const { width, height, colorType } = image.metadataSync();
  const layout = layouts[colorType];
  if (!layout) throw new Unusable("its samples are neither 8 nor 16 bit");
  return { width, height, channels: layout.channels, data: layout.depth === 8 ? data : uint16(data) };
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

/** libvips: slower per file, but reads every kind of TIFF and the EXIF data of all formats. */
const decodeRare = async (bytes: Uint8Array): Promise<Samples> => {
  const sharp = await (loaded ??= libvips());
  const image = sharp(bytes, {
    autoOrient: true,
    failOn: "error",
    ignoreIcc: true,
    limitInputPixels: maxPixels,
  });
  const { depth, channels, hasAlpha } = await image.metadata();
  if (depth !== "uchar" && depth !== "ushort") {
    throw new Unusable(`its samples are of type ${depth}: save it with 8 or 16 bits per sample`);
  }
  if (channels > 5) throw new Unusable(`it has ${channels} channels: save it as grey or RGB`);
  const wide = depth === "ushort";
  const space = channels === 1 && !hasAlpha ? (wide ? "grey16" : "b-w") : (wide ? "rgb16" : "srgb");
  const { data, info } = await image.toColourspace(space).raw({ depth }).toBuffer({
    resolveWithObject: true,
  });
  return {
    width: info.width,
    height: info.height,
    channels: info.channels,
    data: wide ? uint16(data) : data,
  };
};

const uint16 = (data: Uint8Array): Uint16Array => {
  const aligned = data.byteOffset % 2 === 0 ? data : data.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
};
