import { maxPixels, Unusable } from "../unusable.ts";

export type Format = "PNG" | "JPEG" | "WebP" | "TIFF" | "BMP" | "GIF" | "PNM";
/** Their names, for messages. */
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

/** The size, unless it has more pixels than are read. Throws `Unusable`. */
export const sizeOf = (width: number, height: number) => {
  if (width * height > maxPixels) {
    throw new Unusable(
      `${width} × ${height} pixels are more than the ${maxPixels / 1e6} million that are read`,
    );
  }
  return { width, height };
};
