import { Unusable } from "../unusable.ts";
import { latin1 } from "./bytes.ts";
import { type Directory, readDirectory } from "./directory.ts";
import { type ImageHeader, sizeOf } from "./header.ts";
import { orientationTag, toOrientation, xmpOrientationOf } from "./metadata.ts";

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

/** Of the first page (TIFF 6.0, BigTIFF). */
export const tiffHeader = (bytes: Uint8Array): ImageHeader => {
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
