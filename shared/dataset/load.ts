import { readIntact } from "@subtaxa/bus";
import type { Manifest, ManifestImage } from "@subtaxa/contracts";
import { Effect } from "effect";
import { join } from "node:path";
import type { Images } from "./batch.ts";
import { readImages, writeImages } from "./cache.ts";
import { decompress } from "./compression.ts";
import { DatasetError } from "./error.ts";
import { detailOf } from "./unusable.ts";
import { resizeSquare } from "./resample.ts";
import { readRecords } from "./shard.ts";

export interface LoadOptions {
  readonly manifest: Manifest;
  /** Hash of the manifest's blob: with the size, the name of the cached result. */
  readonly manifestSha256: string;
  /** Path of the shard at an index of `manifest.shards`. */
  readonly shardFiles: (shard: number) => string;
  /** Side in pixels to which all images are resized. */
  readonly imageSize: number;
  /** Where the result is kept for the next time; made if it isn't there. */
  readonly cacheFolder: string;
}

/**
 * All images of a dataset at one size, in the manifest's order; grey ones are repeated to three channels if some image
 * is RGB. From the second time on they come from a file in `cacheFolder`, which several processes may share; a damaged
 * one is made anew.
 */
export const loadImages = (options: LoadOptions): Effect.Effect<Images, DatasetError> =>
  Effect.gen(function* () {
    const { manifest, imageSize } = options;
    const images = {
      side: imageSize,
      channels: manifest.images.some((image) => image.channels === 3) ? 3 as const : 1 as const,
      count: manifest.images.length,
    };
    const file = join(options.cacheFolder, `images-${options.manifestSha256}-${imageSize}`);
    const cached = yield* readImages(file, images);
    if (cached) return cached;
    const pixels = yield* assemble(options, images);
    yield* writeImages(file, { ...images, pixels });
    return { ...images, pixels };
  });

const assemble = (
  { manifest, shardFiles }: LoadOptions,
  { side, channels, count }: Omit<Images, "pixels">,
): Effect.Effect<Uint8Array, DatasetError> =>
  Effect.gen(function* () {
    const size = side * side * channels;
    const pixels = new Uint8Array(count * size);
    const inShard = manifest.shards.map((): number[] => []);
    for (const [index, image] of manifest.images.entries()) inShard[image.shard]?.push(index);
    for (const [shard, indices] of inShard.entries()) {
      if (indices.length === 0) continue;
      const raw = yield* readShard(manifest, shard, shardFiles(shard));
      for (const index of indices) {
        pixels.set(resized(raw, manifest.images[index]!, side, channels), index * size);
      }
    }
    return pixels;
  });

/** An image as it was imported: a padded square, interleaved 8-bit pixels. */
export type Original = Omit<Images, "count">;

/** Some images at their imported size, by index: for showing, not for training. Only the shards that hold them are read. */
export const loadOriginals = (
  { manifest, shardFiles }: Pick<LoadOptions, "manifest" | "shardFiles">,
  indices: Iterable<number>,
): Effect.Effect<ReadonlyMap<number, Original>, DatasetError> =>
  Effect.gen(function* () {
    const wanted = [...indices].map((index) => ({ index, image: manifest.images[index]! }));
    const found = new Map<number, Original>();
    for (const shard of new Set(wanted.map(({ image }) => image.shard))) {
      const raw = yield* readShard(manifest, shard, shardFiles(shard));
      for (const { index, image } of wanted) {
        if (image.shard !== shard) continue;
        const { side, channels } = image;
        found.set(index, { side, channels, pixels: raw.slice(image.offset, endOf(image)) });
      }
    }
    return found;
  });

const readShard = (
  manifest: Manifest,
  shard: number,
  path: string,
): Effect.Effect<Uint8Array, DatasetError> => {
  const { key, sha256 } = manifest.shards[shard]!;
  const corrupt = (what: string, cause?: unknown) =>
    new DatasetError({
      reason: { _tag: "ShardCorrupt", shard, key },
      message: `shard ${shard} (${key}) of dataset ${manifest.name} ${what}: import the dataset again`,
      cause,
    });
  return Effect.gen(function* () {
    const bytes = yield* readIntact(path, sha256).pipe(Effect.mapError((cause) =>
      new DatasetError({
        reason: { _tag: "Storage", path },
        message: `shard ${shard} (${key}) of dataset ${manifest.name} can't be read: ${cause.message}`,
        cause,
      })
    ));
    const raw = yield* Effect.try({
      try: () => decompress(bytes),
      catch: (cause) => corrupt(`can't be decompressed: ${detailOf(cause)}`, cause),
    });
    const records = yield* Effect.try({
      try: () => readRecords(raw),
      catch: (cause) => corrupt(`does not add up: ${detailOf(cause)}`, cause),
    });
    const misread = misreadImage(manifest, shard, records);
    return misread === undefined ? raw : yield* corrupt(misread);
  });
};

/** What is wrong with the manifest's images in a shard, beside the records that it holds; undefined when they agree. */
const misreadImage = (
  { images }: Manifest,
  shard: number,
  records: ReturnType<typeof readRecords>,
): string | undefined => {
  const paths = new Map<number, string>();
  for (const image of images) {
    if (image.shard !== shard) continue;
    const { path, offset } = image;
    const record = records.get(offset);
    if (!record) return `has no image at byte ${offset}, where ${path} must be`;
    const other = paths.get(offset);
    if (other !== undefined) {
      return `has one image at byte ${offset}, where both ${other} and ${path} must be`;
    }
    paths.set(offset, path);
    for (const field of ["side", "channels", "crc32"] as const) {
      if (record[field] !== image[field]) {
        return `has another image in the place of ${path}: ${field} ${record[field]} instead of ${
          image[field]
        }`;
      }
    }
  }
  return undefined;
};

const endOf = ({ offset, side, channels }: ManifestImage): number => offset + side * side * channels;

const resized = (raw: Uint8Array, image: ManifestImage, side: number, channels: 1 | 3): Uint8Array => {
  const data = raw.subarray(image.offset, endOf(image));
  const square = { width: image.side, height: image.side, channels: image.channels, data };
  const pixels = image.side === side ? data : resizeSquare(square, side);
  return image.channels < channels ? repeated(pixels) : pixels;
};

const repeated = (grey: Uint8Array): Uint8Array => {
  const rgb = new Uint8Array(3 * grey.length);
  for (let i = 0; i < rgb.length; i++) rgb[i] = grey[Math.floor(i / 3)]!;
  return rgb;
};
