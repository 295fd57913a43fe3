import sharp from "sharp";
import type { DataUri } from "./input.ts";

/** Longest side in pixels: sharp on dense screens, and small enough for thousands in one page. */
const maxSide = 80;

/** A square of raw 8-bit pixels, grey or RGB and interleaved, as a PNG; reduced where it is larger than 80 pixels. */
export const thumbnail = async (pixels: Uint8Array, side: number, channels: 1 | 3): Promise<DataUri> => {
  const image = sharp(pixels, { raw: { width: side, height: side, channels } })
    .resize(maxSide, maxSide, { fit: "inside", withoutEnlargement: true })
    .toColourspace(channels === 1 ? "b-w" : "srgb");
  const png = await image.png({ compressionLevel: 9 }).toBuffer();
  return `data:image/png;base64,${png.toString("base64")}`;
};
