import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { Unusable } from "../unusable.ts";
import { latin1 } from "./bytes.ts";
import { type ImageHeader, sizeOf } from "./header.ts";
import { type Metadata, orientationOf, withoutName } from "./metadata.ts";

/** Chunks of length, type, data and checksum (PNG, third edition, section 5.3). */
export const pngHeader = (bytes: Uint8Array, view: DataView): ImageHeader => {
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
