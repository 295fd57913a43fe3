import type { SampleDepth } from "@subtaxa/contracts";
import { createHash } from "node:crypto";
import { decode } from "./decode.ts";
import type { DepthStatistics } from "./depth.ts";
import { formatOf, readHeader } from "./headers/mod.ts";
import { depthStatisticsOf, greyOrRgb, pixelHashOf, toSquare } from "./pixels.ts";
import type { Image } from "./resample.ts";
import { unreadable, Unusable } from "./unusable.ts";

/** Larger files are rejected unread. */
const maxFileBytes = 512 * 2 ** 20;

/** An image file, read. */
export interface ReadImage {
  /** A square of at most `maxSide` pixels. */
  readonly image: Image;
  /** Size as it was decoded, upright. */
  readonly width: number;
  readonly height: number;
  /** SHA-256 in hexadecimal: of the file, and of the decoded picture. */
  readonly fileHash: string;
  readonly pixelHash: string;
  /** How many 16-bit samples it has, alpha left out, and how many of them lie outside of the dataset's depth. */
  readonly deep: number;
  readonly clipped: number;
  /** Whether other images follow in the file, which are not read. */
  readonly isStack: boolean;
}

/** Reads an image file. Throws `Unusable` (a rejected promise) if it can't be one of a dataset. */
export const readImage = async (path: string, maxSide: number, depth: SampleDepth): Promise<ReadImage> => {
  const bytes = readFile(path);
  const samples = await decode(bytes);
  const { image, deep, clipped } = greyOrRgb(samples, depth);
  const { width, height } = image;
  return {
    image: toSquare(image, maxSide),
    width,
    height,
    fileHash: createHash("sha256").update(bytes).digest("hex"),
    pixelHash: pixelHashOf(samples, image),
    deep,
    clipped,
    isStack: samples.isStack ?? false,
  };
};

/** Bytes that tell the format, and the depth of a PNG. */
const firstBytes = 64;

/** Of an image with 16 bits per sample; undefined for others, and for files that can't be read. */
export const readDepth = async (path: string): Promise<DepthStatistics | undefined> => {
  try {
    const first = readFirst(path);
    const format = formatOf(first);
    // Only these two can have 16 bits, and a PNG tells it at its beginning.
    if (format !== "TIFF" && !(format === "PNG" && first[24] === 16)) return undefined;
    const bytes = readFile(path);
    return readHeader(bytes).depth === 16 ? depthStatisticsOf(await decode(bytes)) : undefined;
  } catch (cause) {
    // The reason is listed when the file is read as an image.
    if (cause instanceof Unusable || cause instanceof RangeError) return undefined;
    throw cause;
  }
};

/** Whether a file's first bytes announce an image; not whether it can be read to its end. */
export const announcesImage = (path: string): boolean => {
  try {
    return formatOf(readFirst(path)) !== undefined;
  } catch (cause) {
    if (cause instanceof Unusable) return false;
    throw cause;
  }
};

const readFirst = (path: string): Uint8Array => {
  const first = new Uint8Array(firstBytes);
  return attempt(path, () => {
    using file = Deno.openSync(path);
    return first.subarray(0, file.readSync(first) ?? 0);
  });
};

const readFile = (path: string): Uint8Array => {
  const size = attempt(path, () => Deno.statSync(path).size);
  if (size === 0) throw new Unusable("is empty");
  if (size > maxFileBytes) {
    throw new Unusable(`has ${size} bytes, more than the ${maxFileBytes / 2 ** 20} MiB that are read`);
  }
  return attempt(path, () => Deno.readFileSync(path));
};

const attempt = <A>(path: string, read: () => A): A => {
  try {
    return read();
  } catch (cause) {
    throw new Unusable(unreadable(path, cause), { cause });
  }
};
