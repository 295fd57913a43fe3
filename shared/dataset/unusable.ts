/** Why one file can't become an image of a dataset; its message is the reason in the list of rejected files. */
export class Unusable extends Error {}

/** An image with more pixels is rejected: decoded as 16-bit RGB it would take 400 MB. */
export const maxPixels = 64e6;

export const detailOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);
