import { z } from "zod";
import { BlobRef } from "./blob.ts";
import { Name } from "./run.ts";

/** One image of a dataset: a padded square at rest in a shard. */
export const ManifestImage = z.object({
  /** Path below the dataset's folder, `/`-separated: `copepod/calanoid__12.jpg`. */
  path: z.string(),
  /** Index into `Manifest.classes`. */
  class: z.number().int().min(0),
  /** Side of the square in pixels. */
  side: z.number().int().min(1),
  /** 1 = grey, 3 = RGB, interleaved, 8 bit. */
  channels: z.union([z.literal(1), z.literal(3)]),
  /** Index into `Manifest.shards`, and the first byte within the decompressed shard. */
  shard: z.number().int().min(0),
  offset: z.number().int().min(0),
});
export type ManifestImage = z.infer<typeof ManifestImage>;

export const Rejected = z.object({ file: z.string(), reason: z.string() });
export type Rejected = z.infer<typeof Rejected>;

/** An imported dataset: what `dataset.imported` refers to. Images are sorted by path. */
export const Manifest = z.object({
  v: z.literal(1),
  name: Name,
  classes: z.array(z.string()).min(2),
  images: z.array(ManifestImage),
  /** Compressed (Zstandard; in older manifests zlib) concatenations of raw pixels. */
  shards: z.array(BlobRef),
  rejected: z.array(Rejected),
});
export type Manifest = z.infer<typeof Manifest>;
