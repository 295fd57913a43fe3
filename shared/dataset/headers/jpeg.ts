import { Buffer } from "node:buffer";
import { Unusable } from "../unusable.ts";
import { latin1, startsWith } from "./bytes.ts";
import { type ImageHeader, sizeOf } from "./header.ts";
import { type Metadata, orientationOf } from "./metadata.ts";

const isFrameMarker = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc ||
  marker === 0xf7;

/** Baseline, extended and progressive, with Huffman codes: what decoders read. */
const readFrames = [0xc0, 0xc1, 0xc2];

const xmpName = "http://ns.adobe.com/xap/1.0/\0";

/** Walks the marker segments (ITU-T T.81, annex B) to the first scan. */
export const jpegHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
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
      // More than 64 KB of Exif data continue in the next segment of the kind.
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
