import { maxPixels, Unusable } from "./unusable.ts";

export type Format = "PNG" | "JPEG" | "WebP" | "TIFF" | "BMP";

const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
};

/** The format that a file's first bytes announce, whatever its name says. */
export const formatOf = (bytes: Uint8Array): Format | undefined => {
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n")) return "PNG";
  if (startsWith(bytes, "\xff\xd8\xff")) return "JPEG";
  if (startsWith(bytes, "RIFF") && startsWith(bytes, "WEBP", 8)) return "WebP";
  // Little- and big-endian, TIFF 6.0 and BigTIFF.
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].some((magic) => startsWith(bytes, magic))) return "TIFF";
  if (startsWith(bytes, "BM")) return "BMP";
  return undefined;
};

/**
 * Whether a PNG has an eXIf chunk, or a JPEG an Exif segment before its first scan: where an orientation may hide. Chunks:
 * length, type, data, checksum; segments: marker, length, data. A file that breaks off has none.
 */
export const hasExif = (bytes: Uint8Array, format: "PNG" | "JPEG"): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === "PNG") {
    for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
      if (startsWith(bytes, "eXIf", at + 4)) return true;
    }
    return false;
  }
  for (let at = 2; at + 4 <= bytes.length && view.getUint8(at + 1) !== 0xda;) {
    if (startsWith(bytes, "Exif\0", at + 4)) return true;
    at += view.getUint8(at + 1) === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return false;
};

/**
 * Refuses, before anything is decoded, PNG, BMP and JPEG files with more than `maxPixels`, and JPEG files without an
 * end-of-image marker: decoders fill what is missing of those with grey.
 */
export const checkHeader = (bytes: Uint8Array, format: "PNG" | "BMP" | "JPEG"): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === "JPEG") return checkJpeg(view);
  if (bytes.length < 26) throw new Unusable(`truncated ${format}: it ends within its header`);
  if (format === "PNG") return checkSize(view.getUint32(16), view.getUint32(20));
  // A BMP's height is negative when its first row is the top one; the oldest header has 16-bit sizes.
  if (view.getUint32(14, true) === 12) return checkSize(view.getUint16(18, true), view.getUint16(20, true));
  checkSize(Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true)));
};

const checkSize = (width: number, height: number): void => {
  if (width * height > maxPixels) {
    throw new Unusable(
      `${width} × ${height} pixels are more than the ${maxPixels / 1e6} million that are read`,
    );
  }
};

/** Walks the marker segments (ITU T.81, annex B) to the first scan, then looks for the end-of-image marker. */
const checkJpeg = (view: DataView): void => {
  let at = 2;
  while (at + 9 < view.byteLength) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) throw new Unusable("damaged JPEG: no marker where one must be");
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) checkSize(view.getUint16(at + 7), view.getUint16(at + 5));
    if (marker === 0xda) {
      // Within a scan 0xff is always followed by 0 or a restart marker. Some writers pad the file after its end.
      for (let end = view.byteLength - 2; end > at; end--) {
        if (view.getUint8(end) === 0xff && view.getUint8(end + 1) === 0xd9) return;
      }
      break;
    }
    at += 2 + view.getUint16(at + 2);
  }
  throw new Unusable("truncated JPEG: it has no end-of-image marker");
};
