import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { type Directory, readDirectory } from "./directory.ts";
import { maxPixels, Unusable } from "./unusable.ts";

export type Format = "PNG" | "JPEG" | "WebP" | "TIFF" | "BMP" | "GIF" | "PNM";
export const formats = "PNG, JPEG, WebP, TIFF, BMP, GIF or PNM";

/** Exif's orientation (Exif 3.0, table 4): by which of the square's symmetries the stored image is turned upright. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

/** What a file says of its image. Decoders are told, and what they give is held against it. */
export interface ImageHeader {
  readonly format: Format;
  /** As stored, before it is turned upright; undefined where only the decoder knows it. */
  readonly size?: { readonly width: number; readonly height: number };
  /** Grey, grey + alpha, RGB or RGBA, as it is decoded; undefined where the format leaves no doubt and the decoder tells. */
  readonly channels?: 1 | 2 | 3 | 4;
  /** Bits per sample, as it is decoded. */
  readonly depth: 8 | 16;
  readonly orientation: Orientation;
  /** Whether the stored samples are those of four inks, which are decoded to RGB. */
  readonly isCmyk?: boolean;
  /** JPEG: whether the colours have fewer samples than the brightness. */
  readonly isSubsampled?: boolean;
  /** TIFF: whether it is made of tiles. */
  readonly isTiled?: boolean;
  /** The file as a decoder takes it, where it does not take it as it is. */
  readonly readable?: Uint8Array;
  /** Whether other images follow in the file: the pages of a stack, of which the first is read. */
  readonly isStack?: boolean;
}

const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
};

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** The format that a file's first bytes announce, whatever its name says. */
export const formatOf = (bytes: Uint8Array): Format | undefined => {
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n")) return "PNG";
  if (startsWith(bytes, "\xff\xd8\xff")) return "JPEG";
  if (startsWith(bytes, "RIFF") && startsWith(bytes, "WEBP", 8)) return "WebP";
  // Little- and big-endian, TIFF 6.0 and BigTIFF.
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].some((magic) => startsWith(bytes, magic))) return "TIFF";
  if (startsWith(bytes, "BM")) return "BMP";
  if (startsWith(bytes, "GIF87a") || startsWith(bytes, "GIF89a")) return "GIF";
  if (/^P[2356]\s/.test(latin1(bytes.subarray(0, 3)))) return "PNM";
  return undefined;
};

/**
 * Reads what a file's header says: the one place that looks for size, channels, alpha, depth and orientation. An orientation
 * that is damaged or out of range counts as 1, as in Pillow: bad metadata make no bad image.
 *
 * @throws Unusable when the image can't be one of a dataset: what it is, and what to do
 * @throws RangeError when the header breaks off
 */
export const readHeader = (bytes: Uint8Array): ImageHeader => {
  const format = formatOf(bytes);
  if (!format) throw new Unusable(`the content is no ${formats} image`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (format) {
    case "PNG":
      return pngHeader(bytes, view);
    case "JPEG":
      return jpegHeader(bytes, view);
    case "WebP":
      return webpHeader(bytes, view);
    case "TIFF":
      return tiffHeader(bytes);
    case "BMP":
      return { format, size: bmpSize(view), depth: 8, orientation: 1 };
    case "PNM":
      return pnmHeader(bytes);
    case "GIF":
      // A frame may be larger than the screen that is declared, so that only the decoder knows the size.
      sizeOf(view.getUint16(6, true), view.getUint16(8, true));
      return { format, depth: 8, orientation: 1 };
  }
};

const sizeOf = (width: number, height: number) => {
  if (width * height > maxPixels) {
    throw new Unusable(
      `${width} × ${height} pixels are more than the ${maxPixels / 1e6} million that are read`,
    );
  }
  return { width, height };
};

/** A BMP's height is negative when its first row is the top one; the oldest header has 16-bit sizes. */
const bmpSize = (view: DataView) => {
  if (view.byteLength < 26) throw new Unusable("truncated BMP: it ends within its header");
  return view.getUint32(14, true) === 12
    ? sizeOf(view.getUint16(18, true), view.getUint16(20, true))
    : sizeOf(Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true)));
};

/** Bytes in which a PNM's header ends, unless its comments are long. */
const pnmHeaderBytes = 1024;

/** PGM and PPM (Netpbm): magic, width, height and largest value, with comments between them. */
const pnmHeader = (bytes: Uint8Array): ImageHeader => {
  const text = latin1(bytes.subarray(0, pnmHeaderBytes)).replace(/#[^\n\r]*/g, " ");
  const [magic, ...numbers] = text.split(/\s+/, 4);
  const [width = 0, height = 0, largest = 0] = numbers.map(Number);
  if (!(width > 0 && height > 0)) throw new Unusable("damaged PNM: its header has no size");
  if (largest !== 255) {
    throw new Unusable(
      `a PNM with values up to ${largest}, of which only those up to 255 are read: save it as TIFF or PNG`,
    );
  }
  const channels = magic === "P2" || magic === "P5" ? 1 : 3;
  return { format: "PNM", size: sizeOf(width, height), channels, depth: 8, orientation: 1 };
};

/** Where an orientation may stand: Exif data, and XMP where they have none. */
interface Metadata {
  exif?: Uint8Array;
  xmp?: string;
}

const orientationTag = 274;

/** As Pillow reads it (`Image.getexif`): Exif before XMP. */
const orientationOf = ({ exif, xmp }: Metadata): Orientation => {
  let stored: number | undefined;
  try {
    stored = exif && readDirectory(exif, { isDamageIgnored: true }).tags.get(orientationTag)?.[0];
  } catch { /* damaged Exif data say nothing about the image */ }
  return toOrientation(stored ?? xmpOrientationOf(xmp));
};

const xmpOrientationOf = (xmp: string | undefined): number =>
  Number(xmp?.match(/tiff:Orientation(?:="|>)([0-9])/)?.[1]);

const toOrientation = (stored: number | undefined): Orientation =>
  (stored !== undefined && stored >= 1 && stored <= 8 ? stored : 1) as Orientation;

/** Exif data without the name that some containers put before them. */
const withoutName = (exif: Uint8Array): Uint8Array => startsWith(exif, "Exif\0\0") ? exif.subarray(6) : exif;

/** Chunks of length, type, data and checksum (PNG, third edition, section 5.3). */
const pngHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
  if (bytes.length < 33) throw new Unusable("truncated PNG: it ends within its header");
  const size = sizeOf(view.getUint32(16), view.getUint32(20));
  const [bits, colourType] = [view.getUint8(24), view.getUint8(25)];
  const colours = new Map([[0, 1], [2, 3], [3, 3], [4, 1], [6, 3]]).get(colourType);
  if (colours === undefined) throw new Unusable(`damaged PNG: colour type ${colourType}`);
  let alpha = colourType === 4 || colourType === 6;
  let hasPixels = false;
  const metadata: Metadata = {};
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const data = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    const type = latin1(bytes.subarray(at + 4, at + 8));
    // Behind the pixels it comes too late for a decoder.
    if (type === "tRNS") alpha ||= !hasPixels;
    else if (type === "IDAT") hasPixels = true;
    else if (type === "eXIf") metadata.exif = withoutName(data);
    else if (type === "iTXt" || type === "tEXt" || type === "zTXt") readPngText(type, data, metadata);
  }
  const depth = bits === 16 ? 16 : 8;
  const channels = colours + (alpha ? 1 : 0) as 1 | 2 | 3 | 4;
  return { format: "PNG", size, channels, depth, orientation: orientationOf(metadata) };
};

/** XMP, and the Exif data that ImageMagick writes as hexadecimal text of some lines, of which three are a title. */
const readPngText = (type: "iTXt" | "tEXt" | "zTXt", data: Uint8Array, metadata: Metadata): void => {
  const keyword = latin1(data.subarray(0, data.indexOf(0)));
  const isXmp = type === "iTXt" && keyword === "XML:com.adobe.xmp";
  if (!isXmp && keyword !== "Raw profile type exif") return;
  try {
    const text = pngText(type, data.subarray(keyword.length + 1));
    if (isXmp) metadata.xmp = text;
    else if (!metadata.exif) {
      const hexadecimal = text.split("\n").slice(3).join("");
      metadata.exif = withoutName(Buffer.from(hexadecimal, "hex"));
    }
  } catch { /* text that can't be decompressed says nothing about the image */ }
};

/** As in Pillow: longer text is passed over, as some kilobytes can be decompressed to gigabytes. */
const maxTextBytes = 2 ** 20;

const pngText = (type: "iTXt" | "tEXt" | "zTXt", data: Uint8Array): string => {
  if (type === "tEXt") return latin1(data);
  if (type === "zTXt") return latin1(inflateSync(data.subarray(1), { maxOutputLength: maxTextBytes }));
  const compressed = data[0] === 1;
  const language = data.indexOf(0, 2);
  const text = data.subarray(data.indexOf(0, language + 1) + 1);
  return latin1(compressed ? inflateSync(text, { maxOutputLength: maxTextBytes }) : text);
};

const isFrameMarker = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc ||
  marker === 0xf7;

/** Baseline, extended and progressive, with Huffman codes: what decoders read. */
const readFrames = [0xc0, 0xc1, 0xc2];

const xmpName = "http://ns.adobe.com/xap/1.0/\0";

/** Walks the marker segments (ITU-T T.81, annex B) to the first scan. */
const jpegHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
  const metadata: Metadata = {};
  let frame: Frame | undefined;
  let at = 2;
  while (at + 4 <= bytes.length) {
    if (view.getUint8(at) !== 0xff || view.getUint8(at + 1) === 0) { // decoders pass over what lies between segments
      at += 1;
      continue;
    }
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) { // fill byte
      at += 1;
      continue;
    }
    if (marker === 0xda) break;
    const data = bytes.subarray(at + 4, at + 2 + view.getUint16(at + 2));
    if (isFrameMarker(marker) && !readFrames.includes(marker)) {
      const kind = marker === 0xf7
        ? "a JPEG-LS"
        : marker === 0xc3
        ? "a lossless JPEG"
        : "a hierarchical or arithmetic JPEG";
      throw new Unusable(`it is ${kind}, which is not read: save it as PNG or TIFF`);
    }
    if (isFrameMarker(marker)) frame = jpegFrame(view, at + 4);
    if (marker === 0xe1 && startsWith(data, "Exif\0\0")) {
      // More than 64 KB of Exif data go on in the next segment of the kind.
      const more = data.subarray(6);
      metadata.exif = metadata.exif ? Buffer.concat([metadata.exif, more]) : more;
    } else if (marker === 0xe1 && startsWith(data, xmpName)) metadata.xmp = latin1(data);
    at += 2 + view.getUint16(at + 2);
  }
  requireEndOfJpeg(view, at);
  if (!frame) throw new Unusable("damaged JPEG: it has no frame header");
  return { format: "JPEG", ...frame, depth: 8, orientation: orientationOf(metadata) };
};

type Frame = Pick<ImageHeader, "size" | "channels" | "isCmyk" | "isSubsampled">;

const jpegFrame = (view: DataView, at: number): Frame => {
  const [bits, components] = [view.getUint8(at), view.getUint8(at + 5)];
  if (bits !== 8) {
    throw new Unusable(`its samples have ${bits} bits in a JPEG: save it as TIFF or PNG with 16 bits`);
  }
  // Four components are CMYK, which is decoded to RGB.
  const isCmyk = components === 4;
  const channels = components === 1 ? 1 : components === 3 || components === 4 ? 3 : undefined;
  if (channels === undefined) throw new Unusable(`it has ${components} channels: save it as grey or RGB`);
  // Each component: a name, its horizontal and vertical sampling factors in one byte, a table.
  const factors = Array.from({ length: components }, (_, i) => view.getUint8(at + 7 + 3 * i));
  const isSubsampled = factors.some((factor) => factor !== factors[0]);
  return { size: sizeOf(view.getUint16(at + 3), view.getUint16(at + 1)), channels, isCmyk, isSubsampled };
};

/**
 * Decoders fill what is missing of a scan with grey, so its end must be there. Within a scan 0xff is always followed by 0 or a
 * restart marker. Some writers pad the file after its end.
 */
const requireEndOfJpeg = (view: DataView, scan: number): void => {
  for (let at = view.byteLength - 2; at > scan; at--) {
    if (view.getUint8(at) === 0xff && view.getUint8(at + 1) === 0xd9) return;
  }
  throw new Unusable("truncated JPEG: it has no end-of-image marker");
};

/** RIFF chunks of type, length and data, padded to an even length (RFC 9649, section 2). */
const webpHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
  const metadata: Metadata = {};
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (startsWith(bytes, "EXIF", at)) metadata.exif = withoutName(data);
    else if (startsWith(bytes, "XMP ", at)) metadata.xmp = latin1(data);
    at += 8 + length + length % 2;
  }
  return { format: "WebP", depth: 8, orientation: orientationOf(metadata) };
};

/** TIFF tags (TIFF 6.0, part 1 and 3). */
const tags = {
  subfileType: 254,
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  planes: 284,
  tileWidth: 322,
  extraSamples: 338,
  sampleFormat: 339,
  xmp: 700,
} as const;

/** What the values of PhotometricInterpretation that aren't read stand for. */
const otherColours = new Map([
  [4, "a transparency mask"],
  [8, "CIE L*a*b*"],
  [9, "ICC L*a*b*"],
  [10, "ITU L*a*b*"],
  [32803, "a camera's raw colour filter array"],
  [32844, "LogL"],
  [32845, "LogLuv"],
  [34892, "linear raw"],
]);
/** The values of Compression that are read: none, CCITT, LZW, JPEG, Deflate, PackBits, WebP. */
const readCompressions = [1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 50001];

/** What some of the others stand for. */
const otherCompressions = new Map([
  [34661, "JBIG"],
  [33003, "JPEG 2000"],
  [33005, "JPEG 2000"],
  [34712, "JPEG 2000"],
  [34887, "LERC"],
  [34925, "LZMA"],
  [34933, "PNG"],
  [34934, "JPEG XR"],
  [50000, "Zstandard"],
  [50002, "JPEG XL"],
]);
const sampleFormats = new Map([[2, "signed integers"], [3, "floating point"], [5, "complex integers"], [
  6,
  "complex floating point",
]]);
const advice = "save it as grey or RGB with 8 or 16 unsigned bits per sample";

/** PhotometricInterpretation of a palette, of CMYK, and of brightness with colour differences. */
const palette = 3;
const separated = 5;
const yCbCr = 6;

const tiffHeader = (bytes: Uint8Array): ImageHeader => {
  const { tags: directory, next, withTag, bytesOf } = readDirectory(bytes);
  const one = (tag: number, otherwise?: number): number => {
    const value = directory.get(tag)?.[0] ?? otherwise;
    if (value === undefined) throw new Unusable(`damaged TIFF: it has no tag ${tag}`);
    return value;
  };
  const size = sizeOf(one(tags.width), one(tags.height));
  const bits = tiffBits(directory);
  const photometric = one(tags.photometric);
  const other = otherColours.get(photometric);
  if (other) throw new Unusable(`its colours are ${other}: ${advice}`);
  const compression = one(tags.compression, 1);
  if (!readCompressions.includes(compression)) {
    const name = otherCompressions.get(compression) ?? `of an unknown kind, ${compression}`;
    throw new Unusable(`its compression is ${name}: save it with LZW, Deflate or none`);
  }
  if (photometric === yCbCr && ![6, 7].includes(compression)) {
    // libvips takes brightness and colour differences for red, green and blue.
    throw new Unusable(`its colours are YCbCr without JPEG compression: ${advice}`);
  }
  const channels = tiffChannels(photometric, one(tags.samples, 1), directory.get(tags.extraSamples) ?? []);
  if (channels === 2 && one(tags.planes, 1) === 2) {
    // libvips reads all but the first row of a strip from the wrong place.
    throw new Unusable(
      "its grey values and its alpha lie in separate planes: save it with interleaved channels",
    );
  }
  if (channels > 1 && one(tags.planes, 1) === 2 && directory.has(tags.tileWidth)) {
    throw new Unusable("its channels lie in separate planes of tiles: save it with interleaved channels");
  }
  if (channels > 1 && (photometric === palette ? bits > 8 : bits < 8)) {
    throw new Unusable(`its samples have ${bits} bits, which is not read for its kind of colours: ${advice}`);
  }
  const isCmyk = photometric === separated;
  if (isCmyk && bits !== 8) throw new Unusable(`it has ${bits} bits per sample in CMYK: ${advice}`);
  const stored = directory.get(orientationTag)?.[0];
  const orientation = toOrientation(stored ?? xmpOrientationOf(latin1(bytesOf(tags.xmp))));
  return {
    format: "TIFF",
    size,
    channels,
    depth: bits === 16 ? 16 : 8,
    orientation,
    isCmyk,
    isTiled: directory.has(tags.tileWidth),
    isStack: next !== 0 && isPage(bytes, next),
    // libvips refuses an orientation that is out of range.
    ...(stored === undefined || stored === orientation
      ? {}
      : { readable: withTag(orientationTag, orientation) }),
  };
};

/** Whether the directory at `place` is a page of its own, not a smaller version or a mask of another (TIFF 6.0, NewSubfileType). */
const isPage = (bytes: Uint8Array, place: number): boolean => {
  try {
    return (readDirectory(bytes, { place }).tags.get(tags.subfileType)?.[0] ?? 0) % 2 === 0;
  } catch {
    return false; // a damaged second page says nothing about the first
  }
};

const tiffBits = (directory: Directory["tags"]): number => {
  const all = directory.get(tags.bits) ?? [1];
  const bits = all[0]!;
  if (all.some((other) => other !== bits)) {
    throw new Unusable(`its channels have ${all.join(", ")} bits: ${advice}`);
  }
  const format = (directory.get(tags.sampleFormat) ?? []).map((value) => sampleFormats.get(value))
    .find((name) => name !== undefined);
  if (format) throw new Unusable(`its samples are ${bits}-bit ${format}: ${advice}`);
  if (![1, 2, 4, 8, 16].includes(bits)) throw new Unusable(`its samples have ${bits} bits: ${advice}`);
  return bits;
};

/** The values of ExtraSamples that declare alpha: associated (colours multiplied by it), unassociated. */
const alphaKinds = [1, 2];

const tiffChannels = (photometric: number, samples: number, extra: readonly number[]): 1 | 2 | 3 | 4 => {
  const colours = new Map([[0, 1], [1, 1], [2, 3], [3, 1], [5, 4], [6, 3]]).get(photometric);
  if (colours === undefined) {
    throw new Unusable(`its colours are of an unknown kind, ${photometric}: ${advice}`);
  }
  const isAlpha = photometric !== separated && samples === colours + 1 && alphaKinds.includes(extra[0] ?? 0);
  if (samples !== colours && !isAlpha) {
    const what = photometric !== separated && samples === colours + 1
      ? ", the last of which is not declared as alpha"
      : colours === 1 && samples === 3
      ? " that are not declared as RGB"
      : "";
    throw new Unusable(`it has ${samples} channels${what}: save it as grey or RGB`);
  }
  // A palette's colours and CMYK are decoded to RGB.
  const decoded = photometric <= 1 ? 1 : 3;
  return decoded + (isAlpha ? 1 : 0) as 1 | 2 | 3 | 4;
};
