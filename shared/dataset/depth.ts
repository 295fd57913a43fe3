import type { ImportWarning, SampleDepth } from "@subtaxa/contracts";

/** What was seen of the 16-bit images of a dataset, alpha left out. */
export interface DepthStatistics {
  readonly images: number;
  readonly samples: number;
  readonly smallest: number;
  readonly largest: number;
  /** Images that look as if 32,768 had been added to all their values. */
  readonly shifted: number;
}

/** Of no image. */
export const noStatistics: DepthStatistics = {
  images: 0,
  samples: 0,
  smallest: 65535,
  largest: 0,
  shifted: 0,
};

export const mergeStatistics = (a: DepthStatistics, b: DepthStatistics): DepthStatistics => ({
  images: a.images + b.images,
  samples: a.samples + b.samples,
  smallest: Math.min(a.smallest, b.smallest),
  largest: Math.max(a.largest, b.largest),
  shifted: a.shifted + b.shifted,
});

/** Bits per sample of scientific cameras, whose images come in 16-bit files; 8 where an 8-bit image was saved as one. */
const cameraBits = [8, 10, 12, 14, 16];

/** Some microscopes (Olympus ScanR, signed data saved as unsigned) add this to each value. */
const signOffset = 32768;
/** From here on values are those of such images: noise makes some darker than black. */
export const nearOffset = signOffset - 256;
/** From here on they are not: cameras whose values have it added have at most 14 bits. */
export const beyondOffset = signOffset + 2 ** 14;

/** Without any 16-bit image seen: what is used in case one comes, every value of 16 bits. */
const allValues: SampleDepth = { bits: 16, offset: 0 };

/**
 * The one depth of a dataset's 16-bit images: the largest value of all of them, rounded up to a camera's bits, less an offset of
 * 32,768 where all values say so, but for noise around black. What is given by hand is not looked for.
 */
export const depthOf = (
  seen: DepthStatistics,
  given: { readonly bitDepth?: number | undefined; readonly offset?: number | undefined },
): SampleDepth => {
  if (seen.images === 0) {
    return { bits: given.bitDepth ?? allValues.bits, offset: given.offset ?? allValues.offset };
  }
  const shifted = seen.smallest >= nearOffset && seen.largest >= signOffset && seen.largest < beyondOffset;
  const offset = given.offset ?? (shifted ? signOffset : 0);
  const needed = cameraBits.find((bits) => seen.largest - offset < 2 ** bits) ?? 16;
  // No value is larger than 65,535.
  const bits = given.bitDepth ?? Math.min(needed, Math.max(8, Math.floor(Math.log2(65536 - offset))));
  return { bits, offset };
};

const percent = (part: number, of: number): string => `${(Math.floor(1000 * part / of) / 10).toFixed(1)} %`;

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** How many of the 16-bit images' samples lie outside of the depth, in how many images; alpha left out. */
export interface Clipped {
  readonly images: number;
  readonly samples: number;
  /** Of all 16-bit images together. */
  readonly of: number;
}

export interface DepthFindings {
  readonly depth: SampleDepth;
  /** Empty where bit depth and offset were both given by hand. */
  readonly seen: DepthStatistics;
  /** Whether one of them was given by hand. */
  readonly isGiven: boolean;
  readonly clipped: Clipped;
}

/** What the owner of 16-bit images should know: values that are cut off, the depth that is used, an offset. */
export const depthWarnings = ({ depth, seen, isGiven, clipped }: DepthFindings): readonly ImportWarning[] => {
  const { bits, offset } = depth;
  const last = offset + 2 ** bits - 1;
  const warnings: ImportWarning[] = [];
  if (clipped.samples > 0) {
    const share = percent(clipped.samples, clipped.of);
    warnings.push({
      kind: "clipped",
      message: `${share} of the values of the 16-bit images lie outside of ${offset} to ${last} ` +
        `and are cut off, in ${count(clipped.images, "image")}: check the bit depth and the offset`,
    });
  }
  const range = `have values from ${seen.smallest} to ${seen.largest}`;
  warnings.push({
    kind: "depth",
    message: (seen.images === 0 ? "" : `${count(seen.images, "image")} with 16 bits per sample ${range}; `) +
      `${offset} to ${last} (${bits} bits) become 0 to 255 in all 16-bit images` +
      (isGiven ? ", as given" : ": give the bit depth if the camera has another"),
  });
  if (!isGiven && offset === signOffset) {
    warnings.push({
      kind: "offset",
      message: `the value ${offset} is taken for black in all 16-bit images: give the offset 0 if it is not`,
    });
  }
  if (offset === 0 && seen.shifted > 0) {
    const images = `${seen.shifted} of ${count(seen.images, "image")} with 16 bits per sample`;
    warnings.push({
      kind: "offset",
      message: `${images} have nearly all their values at ${signOffset} or a little more: ` +
        `if the microscope adds ${signOffset} to each value, import those with the offset ${signOffset}`,
    });
  }
  return warnings;
};

/** Where some images have 16 bits and others 8. */
export const mixedDepthWarnings = (deep: number, all: number): readonly ImportWarning[] =>
  deep === 0 || deep === all ? [] : [{
    kind: "mixed-depth",
    message: `${deep} of ${count(all, "image")} have 16 bits per sample, the others 8: ` +
      "images of both kinds are comparable only if they were made from the same values",
  }];

/** Where a bit depth or an offset was given, but no image has 16 bits. */
export const unusedDepthWarnings = (isGiven: boolean): readonly ImportWarning[] =>
  !isGiven ? [] : [{
    kind: "depth",
    message: "no image has 16 bits per sample: the bit depth and offset that were given change nothing",
  }];
