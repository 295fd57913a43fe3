/** What image files say of themselves: the one parse of their headers, of which every decoder is told. */
import { Unusable } from "../unusable.ts";
import { latin1, startsWith } from "./bytes.ts";
import { type Format, formats, type ImageHeader } from "./header.ts";
import { jpegHeader } from "./jpeg.ts";
import { bmpHeader, gifHeader, pnmHeader, webpHeader } from "./others.ts";
import { pngHeader } from "./png.ts";
import { tiffHeader } from "./tiff.ts";

export type { Format, ImageHeader, Orientation } from "./header.ts";

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
      return bmpHeader(view);
    case "PNM":
      return pnmHeader(bytes);
    case "GIF":
      return gifHeader(view);
  }
};
