/** Why one file can't become an image of a dataset; its message is the reason in the list of rejected files. */
export class Unusable extends Error {}

/** An image with more pixels is rejected: decoded as 16-bit RGB it would take 400 MB. */
export const maxPixels = 64e6;

/** A TIFF directory with more entries is damaged: the standard has some hundred tags. */
export const maxDirectoryEntries = 4096;

export const detailOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause);

/** Why what lies at `path` can't be read, for the list of rejected files. */
export const unreadable = (path: string, cause: unknown): string => {
  // What can't be decoded of a name is listed as U+FFFD, by which the file isn't found again.
  const detail = path.includes("\ufffd") ? "its name is no valid UTF-8, rename it" : detailOf(cause);
  return `can't be read: ${detail}`;
};
