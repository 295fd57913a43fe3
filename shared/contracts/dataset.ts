import { z } from "zod";
import { BlobRef } from "./blob.ts";
import { Name } from "./run.ts";

/** SHA-256 in hexadecimal. */
const Hash = z.string().regex(/^[0-9a-f]{64}$/);

/** One image of a dataset: a padded square at rest in a shard. */
export const ManifestImage = z.object({
  /** Path below the dataset's folder, `/`-separated: `copepod/calanoid__12.jpg`. */
  path: z.string(),
  /** Index into `Manifest.classes`. */
  class: z.number().int().min(0),
  /** Size of the image in pixels, upright, as it was decoded: before it was padded and reduced. */
  width: z.number().int().min(1),
  height: z.number().int().min(1),
  /** Side of the stored square in pixels. */
  side: z.number().int().min(1),
  /** 1 = grey, 3 = RGB, interleaved, 8 bit. */
  channels: z.union([z.literal(1), z.literal(3)]),
  /** Index into `Manifest.shards`, and the first byte of the pixels within the decompressed shard. */
  shard: z.number().int().min(0),
  offset: z.number().int().min(0),
  /** CRC-32 of the stored pixels. */
  crc32: z.number().int().min(0).max(0xffffffff),
  /** Of the file's bytes. */
  fileHash: Hash,
  /** Of the decoded picture: equal for equal pictures, whatever their encoding. */
  pixelHash: Hash,
});
export type ManifestImage = z.infer<typeof ManifestImage>;

/**
 * A file or folder that is not in the dataset, and why. What the files of a kind have in common comes before the reason's
 * first colon (`reasonGroups`).
 */
export const Rejected = z.object({ file: z.string(), reason: z.string() });
export type Rejected = z.infer<typeof Rejected>;

/** Something about a dataset that its owner should look at; it keeps no file out. */
export const ImportWarning = z.object({
  kind: z.enum([
    "depth",
    "mixed-depth",
    "offset",
    "clipped",
    "stacks",
    "names-differ-by-case",
    "split-folders",
    "repeated-folders",
    "small-class",
    "hidden-files",
    "label-conflicts",
  ]),
  message: z.string(),
});
export type ImportWarning = z.infer<typeof ImportWarning>;

/** One picture that lies in several classes. */
export const LabelConflict = z.object({
  pixelHash: Hash,
  files: z.array(z.object({ path: z.string(), class: z.string() })).min(2),
});
export type LabelConflict = z.infer<typeof LabelConflict>;

/** What an import does with pictures that lie in several classes. */
export const LabelConflictPolicy = z.enum(["keep", "drop", "ask"]);
export type LabelConflictPolicy = z.infer<typeof LabelConflictPolicy>;

/** How the 16-bit samples of a dataset become 8 bit: `offset` … `offset` + 2^`bits` − 1 → 0 … 255, the rest is clipped. */
export const SampleDepth = z.object({
  bits: z.number().int().min(8).max(16),
  offset: z.number().int().min(0).max(65535),
});
export type SampleDepth = z.infer<typeof SampleDepth>;

/** What an import has to say beside the images, also when it fails. */
export const ImportReport = z.object({
  /** Sorted by file. */
  rejected: z.array(Rejected),
  warnings: z.array(ImportWarning),
  labelConflicts: z.array(LabelConflict),
  /** Null where no image has 16 bits. */
  depth: SampleDepth.nullable(),
});
export type ImportReport = z.infer<typeof ImportReport>;

/**
 * An imported dataset: what `dataset.imported` refers to. Images are sorted by path. Version 1 had no checksums of the stored
 * pixels, so what it describes can't be trusted (`DatasetError/ManifestOutdated`).
 */
export const Manifest = z.object({
  v: z.literal(2),
  name: Name,
  classes: z.array(z.string()).min(2),
  images: z.array(ManifestImage),
  /** Compressed (Zstandard) sequences of image records: see `shared/dataset/shard.ts`. */
  shards: z.array(BlobRef),
  /** Size of a pixel in µm, the same for all images; null where it isn't known. */
  pixelSize: z.number().positive().nullable(),
  ...ImportReport.shape,
});
export type Manifest = z.infer<typeof Manifest>;

/** What the reason has in common with those of other files. */
export const reasonGroup = (reason: string): string => reason.split(": ", 1)[0]!;

/** Rejected files by what their reasons have in common, the largest group first. */
export const reasonGroups = (
  rejected: readonly Rejected[],
): readonly { readonly reason: string; readonly files: readonly Rejected[] }[] => {
  const groups = Map.groupBy(rejected, ({ reason }) => reasonGroup(reason));
  return [...groups].map(([reason, files]) => ({ reason, files }))
    .sort((a, b) => b.files.length - a.files.length);
};
