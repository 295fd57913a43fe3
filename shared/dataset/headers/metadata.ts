import { startsWith } from "./bytes.ts";
import { readDirectory } from "./directory.ts";
import type { Orientation } from "./header.ts";

/** Where an orientation may stand: Exif data, and XMP where they have none. */
export interface Metadata {
  exif?: Uint8Array;
  xmp?: string;
}

/** The tag of the orientation, in Exif data and TIFF files. */
export const orientationTag = 274;

/** As Pillow reads it (`Image.getexif`): Exif before XMP. */
export const orientationOf = ({ exif, xmp }: Metadata): Orientation => {
  let stored: number | undefined;
  try {
    stored = exif && readDirectory(exif, { isDamageIgnored: true }).tags.get(orientationTag)?.[0];
  } catch { /* damaged Exif data say nothing about the image */ }
  return toOrientation(stored ?? xmpOrientationOf(xmp));
};

/** Not a number where there is none. */
export const xmpOrientationOf = (xmp: string | undefined): number =>
  Number(xmp?.match(/tiff:Orientation(?:="|>)([0-9])/)?.[1]);

/** What is out of range counts as upright. */
export const toOrientation = (stored: number | undefined): Orientation =>
  (stored !== undefined && stored >= 1 && stored <= 8 ? stored : 1) as Orientation;

/** Exif data without the name that some containers put before them. */
export const withoutName = (exif: Uint8Array): Uint8Array =>
  startsWith(exif, "Exif\0\0") ? exif.subarray(6) : exif;
