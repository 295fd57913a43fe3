import { createHash } from "node:crypto";
import { decode } from "./decode.ts";
import { greyOrRgb, toSquare } from "./pixels.ts";
import type { Image } from "./resample.ts";
import { detailOf, Unusable } from "./unusable.ts";

/** Larger files are rejected unread. */
const maxFileBytes = 512 * 2 ** 20;

/** Reads an image file: a square of at most `maxSide` pixels and the hash of the file. Throws `Unusable` if it can't be one. */
export const readImage = async (path: string, maxSide: number): Promise<{ image: Image; hash: string }> => {
  const bytes = readFile(path);
  const hash = createHash("sha256").update(bytes).digest("base64");
  return { hash, image: toSquare(greyOrRgb(await decode(bytes)), maxSide) };
};

const readFile = (path: string): Uint8Array => {
  const size = attempt(path, () => Deno.statSync(path).size);
  if (size === 0) throw new Unusable("is empty");
  if (size > maxFileBytes) {
    throw new Unusable(`has ${size} bytes, more than the ${maxFileBytes / 2 ** 20} MiB that are read`);
  }
  return attempt(path, () => Deno.readFileSync(path));
};

const attempt = <A>(path: string, read: () => A): A => {
  try {
    return read();
  } catch (cause) {
    // What can't be decoded of a name is listed as U+FFFD, by which the file isn't found again.
    const detail = path.includes("\ufffd") ? "its name is no valid UTF-8, rename it" : detailOf(cause);
    throw new Unusable(`can't be read: ${detail}`, { cause });
  }
};
