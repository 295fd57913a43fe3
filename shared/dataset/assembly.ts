import type {
  BlobRef,
  ImportReport,
  ImportWarning,
  LabelConflict,
  LabelConflictPolicy,
  Manifest,
  ManifestImage,
  Rejected,
  SampleDepth,
} from "@subtaxa/contracts";
import { createHash, type Hash } from "node:crypto";
import {
  type Clipped,
  type DepthStatistics,
  depthWarnings,
  mixedDepthWarnings,
  unusedDepthWarnings,
} from "./depth.ts";
import { DatasetError } from "./error.ts";
import type { ReadImage } from "./read.ts";
import { recordBytes, type RecordHeader, recordHeaderBytes } from "./shard.ts";
import type { Candidate, Found } from "./walk.ts";
import { layoutWarnings, smallClassWarnings, stackWarnings } from "./warnings.ts";

/** A candidate that was read: its record's header and what is known of its image, or why there is none. */
export type Outcome =
  | { readonly candidate: Candidate } & RecordHeader & Omit<ReadImage, "image">
  | { readonly candidate: Candidate; readonly reason: string };

/** Some neighbouring candidates, and the records of their images one after another, compressed. */
export interface Portion {
  readonly outcomes: readonly Outcome[];
  /** Of the records before they were compressed. */
  readonly bytes: number;
  readonly compressed: Uint8Array<ArrayBuffer>;
}

/** A shard as it is stored. */
export interface Shard {
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
  readonly ref: BlobRef;
}

/** Raw bytes per shard: large enough to be worth a blob, small enough to hold several in memory. */
const shardBytes = 24 * 2 ** 20;

type NamedImage = Omit<ManifestImage, "class"> & { readonly class: string };

export interface AssemblyOptions {
  readonly found: Found;
  readonly depth: SampleDepth;
  /** Of the 16-bit images; empty where the depth was given by hand. */
  readonly seen: DepthStatistics;
  /** Whether anything of the depth was given by hand. */
  readonly isDepthGiven: boolean;
}

export interface ManifestOptions {
  readonly name: string;
  readonly minClassImages: number;
  readonly onLabelConflict: LabelConflictPolicy;
  readonly pixelSize: number | null;
}

/**
 * Puts a dataset together from its portions in the order of their paths: packs shards, and keeps one of the equal pictures of a
 * class, while the pixels of the others stay in the shards unused.
 */
export class Assembly {
  readonly #rejected: Rejected[];
  readonly #options: AssemblyOptions;
  #images: NamedImage[] = [];
  /** Files with the picture of an earlier image of their class. */
  readonly #duplicates: { readonly file: string; readonly first: NamedImage }[] = [];
  /** The images kept of a picture, by its hash; one in each class. */
  #pictures = new Map<string, NamedImage[]>();
  #shards: BlobRef[] = [];
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #hash: Hash = createHash("sha256");
  /** Raw bytes in the current shard. */
  #used = 0;
  /** Paths of the images that have 16 bits. */
  readonly #deep = new Set<string>();
  #clipped: Clipped = { images: 0, samples: 0, of: 0 };
  #stacks: string[] = [];

  constructor(options: AssemblyOptions) {
    this.#options = options;
    this.#rejected = [...options.found.rejected];
  }

  /**
   * Takes the next portion; the shard that is full with it, or an error when its images are not as long as its records. `each` is
   * called after each of its outcomes.
   */
  add({ outcomes, bytes, compressed }: Portion, each: () => void): Shard | undefined | DatasetError {
    const before = this.#used;
    for (const outcome of outcomes) {
      this.#take(outcome);
      each();
    }
    if (this.#used - before !== bytes) {
      return new DatasetError({
        reason: { _tag: "PixelsMiscounted" },
        message:
          `the images from ${outcomes[0]?.candidate.path} on have ${
            this.#used - before
          } bytes of pixels, but ` +
          `${bytes} were stored: this is a fault of the import, please report it`,
      });
    }
    this.#parts.push(compressed);
    this.#hash.update(compressed);
    return this.#used < shardBytes ? undefined : this.finishShard();
  }

  #take(outcome: Outcome): void {
    const { candidate } = outcome;
    if ("reason" in outcome) {
      this.#rejected.push({ file: candidate.path, reason: outcome.reason });
      return;
    }
    const { candidate: _, deep, clipped, isStack, ...image } = outcome;
    if (isStack) this.#stacks.push(candidate.path);
    if (deep > 0) this.#deep.add(candidate.path);
    this.#clipped = {
      images: this.#clipped.images + (clipped > 0 ? 1 : 0),
      samples: this.#clipped.samples + clipped,
      of: this.#clipped.of + deep,
    };
    const same = this.#pictures.get(image.pixelHash) ?? [];
    const first = same.find((other) => other.class === candidate.class);
    if (first) this.#duplicates.push({ file: candidate.path, first });
    else {
      const offset = this.#used + recordHeaderBytes;
      const kept = { ...candidate, ...image, shard: this.#shards.length, offset };
      this.#pictures.set(image.pixelHash, [...same, kept]);
      this.#images.push(kept);
    }
    this.#used += recordBytes(image);
  }

  /** The current shard; undefined when it is empty. */
  finishShard(): Shard | undefined {
    if (this.#used === 0) return undefined;
    const parts = this.#parts;
    const sha256 = this.#hash.digest("hex");
    const ref = {
      key: `sha256-${sha256}`,
      sha256,
      bytes: parts.reduce((bytes, part) => bytes + part.length, 0),
    };
    this.#shards.push(ref);
    this.#parts = [];
    this.#hash = createHash("sha256");
    this.#used = 0;
    return { parts, ref };
  }

  /** How many files are rejected so far. */
  get rejected(): number {
    return this.#rejected.length + this.#duplicates.length;
  }

  /**
   * The manifest, once the last shard is finished; its `classes` may be fewer than the two that a dataset needs. Classes that
   * have fewer than `minClassImages` images are rejected as a whole, and what they put into the shards stays there unused.
   * Label conflicts are those between classes that are large enough.
   */
  manifest(options: ManifestOptions): Manifest {
    const { name, minClassImages, onLabelConflict, pixelSize } = options;
    const { found, depth, seen, isDepthGiven } = this.#options;
    const isLarge = (images: readonly NamedImage[]) => {
      const counts = countsOf(images);
      return (name: string) => (counts.get(name) ?? 0) >= minClassImages;
    };
    const labelConflicts = this.#labelConflicts(isLarge(this.#images));
    const dropped = new Set(
      onLabelConflict === "drop" ? labelConflicts.map(({ pixelHash }) => pixelHash) : [],
    );
    const images = this.#images.filter(({ pixelHash }) => !dropped.has(pixelHash));
    const kept = found.classes.filter(isLarge(images));
    const counts = countsOf(images);
    const indexOf = new Map(kept.map((name, index) => [name, index]));
    const usedImages = images.filter((image) => indexOf.has(image.class));
    const deepImages = usedImages.filter(({ path }) => this.#deep.has(path)).length;
    return {
      v: 2,
      name,
      classes: kept,
      images: usedImages.map((image) => ({ ...image, class: indexOf.get(image.class)! })),
      shards: this.#shards,
      pixelSize,
      rejected: [
        ...this.#rejected,
        ...this.#droppedOrSame(labelConflicts, dropped),
        ...found.classes.filter((name) => !indexOf.has(name)).map((name) => ({
          file: `${name}/`,
          reason: `class left out: ${
            counts.get(name) ?? 0
          } usable images, at least ${minClassImages} are needed`,
        })),
      ].sort((a, b) => a.file < b.file ? -1 : 1),
      warnings: [
        ...(deepImages > 0
          ? depthWarnings({ depth, seen, isGiven: isDepthGiven, clipped: this.#clipped })
          : unusedDepthWarnings(isDepthGiven)),
        ...mixedDepthWarnings(deepImages, usedImages.length),
        ...stackWarnings(this.#stacks),
        ...layoutWarnings(found, kept),
        ...smallClassWarnings(kept.map((name) => [name, counts.get(name)!])),
        ...conflictWarnings(labelConflicts, onLabelConflict),
      ],
      labelConflicts,
      depth: deepImages > 0 ? depth : null,
    };
  }

  #labelConflicts(isLarge: (name: string) => boolean): LabelConflict[] {
    return [...this.#pictures].flatMap(([pixelHash, images]) => {
      const files = images.filter((image) => isLarge(image.class))
        .map(({ path, class: name }) => ({ path, class: name }));
      return files.length > 1 ? [{ pixelHash, files }] : [];
    });
  }

  /** Why files are left out whose picture is in another file, of their class or of another one. */
  #droppedOrSame(conflicts: readonly LabelConflict[], dropped: ReadonlySet<string>): Rejected[] {
    const others = new Map(conflicts.map(({ pixelHash, files }) => [pixelHash, files]));
    const inOtherClasses = (file: string, { pixelHash, class: name }: NamedImage): Rejected => {
      const paths = others.get(pixelHash)!.filter((other) => other.class !== name).map(({ path }) => path);
      return { file, reason: `the same picture lies in another class: ${paths.join(", ")}` };
    };
    return [
      ...this.#images.filter(({ pixelHash }) => dropped.has(pixelHash))
        .map((image) => inOtherClasses(image.path, image)),
      ...this.#duplicates.map(({ file, first }) =>
        dropped.has(first.pixelHash) && others.has(first.pixelHash)
          ? inOtherClasses(file, first)
          : { file, reason: `the same picture as another image of its class: ${first.path} is kept` }
      ),
    ];
  }
}

/** Numbers of images by class. */
const countsOf = (images: readonly NamedImage[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  for (const image of images) counts.set(image.class, (counts.get(image.class) ?? 0) + 1);
  return counts;
};

/** How many pictures lie in several classes, with an example. */
export const conflictSentence = (conflicts: readonly LabelConflict[]): string => {
  const pictures = conflicts.length === 1 ? "1 picture lies" : `${conflicts.length} pictures lie`;
  const example = conflicts[0]!.files.map(({ path }) => path).join(" and ");
  return `${pictures} in several classes (${example})`;
};

const conflictWarnings = (
  conflicts: readonly LabelConflict[],
  policy: LabelConflictPolicy,
): readonly ImportWarning[] => {
  // Asking is what the import fails for.
  if (conflicts.length === 0 || policy === "ask") return [];
  const done = policy === "keep"
    ? "each is kept in every one of them; the policy 'drop' for label conflicts leaves them out"
    : "they are left out";
  return [{ kind: "label-conflicts", message: `${conflictSentence(conflicts)}: ${done}` }];
};

/** What an import reports, without the images. */
export const reportOf = ({ rejected, warnings, labelConflicts, depth }: ImportReport): ImportReport => ({
  rejected,
  warnings,
  labelConflicts,
  depth,
});
