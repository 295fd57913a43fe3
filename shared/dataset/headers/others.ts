import { Unusable } from "../unusable.ts";
import { latin1, startsWith } from "./bytes.ts";
import { type ImageHeader, sizeOf } from "./header.ts";
import { type Metadata, orientationOf, withoutName } from "./metadata.ts";

/** A BMP's height is negative when its first row is the top one; the oldest header has 16-bit sizes. */
const bmpSize = (view: DataView) => {
  if (view.byteLength < 26) throw new Unusable("truncated BMP: it ends within its header");
  return view.getUint32(14, true) === 12
    ? sizeOf(view.getUint16(18, true), view.getUint16(20, true))
    : sizeOf(Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true)));
};

export const bmpHeader = (view: DataView): ImageHeader => ({
  format: "BMP",
  size: bmpSize(view),
  depth: 8,
  orientation: 1,
});

/** A frame may be larger than the screen that is declared, so that only the decoder knows the size. */
export const gifHeader = (view: DataView): ImageHeader => {
  sizeOf(view.getUint16(6, true), view.getUint16(8, true));
  return { format: "GIF", depth: 8, orientation: 1 };
};

/** Bytes in which a PNM's header ends, unless its comments are long. */
const pnmHeaderBytes = 1024;

/** PGM and PPM (Netpbm): magic, width, height and largest value, with comments between them. */
export const pnmHeader = (bytes: Uint8Array): ImageHeader => {
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

/** RIFF chunks of type, length and data, padded to an even length (RFC 9649, section 2). */
export const webpHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
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
