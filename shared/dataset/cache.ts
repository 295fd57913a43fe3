import { Effect } from "effect";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import type { Images } from "./batch.ts";
import { DatasetError } from "./error.ts";
import { detailOf } from "./unusable.ts";

/**
 * A file of pixels: 64 bytes of header (magic, then side, channels and count as uint32 little-endian, then from byte 32
 * on the SHA-256 of the pixels), and the pixels. The magic's number changes with the way in which images are resized.
 */
const magic = "subtaxa images 2";
const headerBytes = 64;

/** Node hashes, and files are written, in pieces well below the 2 GiB that one call takes. */
const pieceBytes = 2 ** 26;
const pieces = function* (pixels: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < pixels.length; at += pieceBytes) yield pixels.subarray(at, at + pieceBytes);
};

const headerOf = ({ side, channels, count }: Omit<Images, "pixels">, sha256: Uint8Array): Uint8Array => {
  const header = new Uint8Array(headerBytes);
  header.set(new TextEncoder().encode(magic));
  const view = new DataView(header.buffer);
  [side, channels, count].forEach((value, i) => view.setUint32(16 + 4 * i, value, true));
  header.set(sha256, 32);
  return header;
};

const hashOf = (pixels: Uint8Array): Uint8Array => {
  const hash = createHash("sha256");
  for (const piece of pieces(pixels)) hash.update(piece);
  return hash.digest();
};

/** The images that `path` holds; undefined when it isn't there, or is not whole. */
export const readImages = (
  path: string,
  expected: Omit<Images, "pixels">,
): Effect.Effect<Images | undefined> =>
  Effect.tryPromise({
    try: async () => {
      using file = await Deno.open(path);
      await file.utime(new Date(), new Date()); // files that were not used for long are evicted
      const length = expected.side ** 2 * expected.channels * expected.count;
      const { size } = await file.stat();
      if (size !== headerBytes + length) throw new Error(`it has ${size} bytes`);
      const header = new Uint8Array(headerBytes);
      const pixels = new Uint8Array(length);
      for (const buffer of [header, ...pieces(pixels)]) await fill(file, buffer);
      if (!equal(header, headerOf(expected, hashOf(pixels)))) throw new Error("it does not match its hash");
      return { ...expected, pixels };
    },
    catch: (cause) => cause,
  }).pipe(
    Effect.catch((cause) =>
      cause instanceof Deno.errors.NotFound
        ? Effect.succeed(undefined)
        : Effect.as(Effect.logWarning(`${path} is made anew: ${detailOf(cause)}`), undefined)
    ),
  );

const fill = async (file: Deno.FsFile, buffer: Uint8Array): Promise<void> => {
  for (let at = 0; at < buffer.length;) {
    const read = await file.read(buffer.subarray(at));
    if (read === null) throw new Error("it ends too early");
    at += read;
  }
};

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.every((value, i) => value === b[i]);

/** Writes the file aside and renames it, so that other processes see all of it or nothing. */
export const writeImages = (path: string, images: Images): Effect.Effect<void, DatasetError> => {
  const folder = join(dirname(path), "incoming"); // where unfinished files are cleared away one day
  const aside = join(folder, crypto.randomUUID());
  const write = async () => {
    await Deno.mkdir(folder, { recursive: true });
    using file = await Deno.open(aside, { write: true, createNew: true });
    for (const buffer of [headerOf(images, hashOf(images.pixels)), ...pieces(images.pixels)]) {
      for (let at = 0; at < buffer.length;) at += await file.write(buffer.subarray(at));
    }
    await Deno.rename(aside, path);
  };
  return Effect.tryPromise({
    try: write,
    catch: (cause) =>
      new DatasetError({
        reason: { _tag: "Storage", path },
        message: `could not write ${path}: ${detailOf(cause)}`,
        cause,
      }),
  }).pipe(
    Effect.onError(() => Effect.ignore(Effect.tryPromise(() => Deno.remove(aside)))),
    Effect.uninterruptible,
  );
};
