import type { ImportWarning, SampleDepth } from "@subtaxa/contracts";

/** What was seen of the 16-bit images of a dataset, alpha left out. */
export interface DepthStatistics {
  readonly images: number;
  readonly samples: number;
  readonly smallest: number;
  readonly largest: number;
  /** Samples of 32,768 and more. */
  readonly upperHalf: number;
}

/** Of no image. */
export const noStatistics: DepthStatistics = {
  images: 0,
  samples: 0,
  smallest: 65535,
  largest: 0,
  upperHalf: 0,
};

export const mergeStatistics = (a: DepthStatistics, b: DepthStatistics): DepthStatistics => ({
  images: a.images + b.images,
  samples: a.samples + b.samples,
  smallest: Math.min(a.smallest, b.smallest),
  largest: Math.max(a.largest, b.largest),
  upperHalf: a.upperHalf + b.upperHalf,
});

/** Bits per sample of scientific cameras, whose images come in 16-bit files; 8 where an 8-bit image was saved as one. */
const cameraBits = [8, 10, 12, 14, 16];

/** Some microscopes (Olympus ScanR, signed data saved as unsigned) add this to each value. */
const signOffset = 32768;
/** Cameras whose values have it added have at most so many bits. */
const mostBitsWithOffset = 14;

/** Without any 16-bit image seen: what is used in case one comes, every value of 16 bits. */
const allValues: SampleDepth = { bits: 16, offset: 0 };

/**
 * The one depth of a dataset's 16-bit images: the largest value of all of them, rounded up to a camera's bits, less an offset of
 * 32,768 where all values say so. What is given by hand is not looked for.
 */
export const depthOf = (
  seen: DepthStatistics,
  given: { readonly bitDepth?: number | undefined; readonly offset?: number | undefined },
): SampleDepth => {
  if (seen.images === 0) {
    return { bits: given.bitDepth ?? allValues.bits, offset: given.offset ?? allValues.offset };
  }
  const shifted = seen.smallest >= signOffset && seen.largest < signOffset + 2 ** mostBitsWithOffset;
  const offset = given.offset ?? (shifted ? signOffset : 0);
  const bits = given.bitDepth ?? cameraBits.find((bits) => seen.largest - offset < 2 ** bits) ?? 16;
  return { bits, offset };
};

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/**
 * What the owner of 16-bit images should know: the depth that was used, an offset, and values that were cut off. `seen` is empty
 * where the depth was given by hand.
 */
export const depthWarnings = (
  depth: SampleDepth,
  seen: DepthStatistics,
  clipped: { readonly images: number; readonly samples: number },
): readonly ImportWarning[] => {
  const { bits, offset } = depth;
  const last = offset + 2 ** bits - 1;
  const range = seen.images === 0
    ? ""
    : `${
      count(seen.images, "image")
    } with 16 bits per sample have values from ${seen.smallest} to ${seen.largest}; `;
  const warnings: ImportWarning[] = [{
    kind: "depth",
    message: `${range}${offset} to ${last} (${bits} bits) become 0 to 255 in all 16-bit images: ` +
      "set bitDepth if the camera has another depth",
  }];
  if (offset > 0) {
    warnings.push({
      kind: "offset",
      message: `the value ${offset} is taken for black in all 16-bit images: set offset to 0 if it is not`,
    });
  } else if (seen.samples > 0 && seen.upperHalf >= 0.9 * seen.samples) {
    const share = Math.floor(100 * seen.upperHalf / seen.samples);
    warnings.push({
      kind: "offset",
      message:
        `${share} % of the 16-bit values are ${signOffset} or more: if the microscope adds ${signOffset} to each ` +
        `value, import with offset ${signOffset}`,
    });
  }
  if (clipped.samples > 0) {
    warnings.push({
      kind: "clipped",
      message:
        `${count(clipped.samples, "sample")} of ${
          count(clipped.images, "image")
        } lie outside of ${offset} to ` +
        `${last} and are cut off: check bitDepth and offset`,
    });
  }
  return warnings;
};
