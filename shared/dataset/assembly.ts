import type { BlobRef, Manifest, ManifestImage, Rejected } from "@subtaxa/contracts";
import { createHash, type Hash } from "node:crypto";
import type { Candidate } from "./walk.ts";

/** A candidate that was read: its square image's shape and the hash of its file, or why there is none. */
export type Outcome =
  | {
    readonly candidate: Candidate;
    readonly side: number;
    readonly channels: ManifestImage["channels"];
    readonly hash: string;
  }
  | { readonly candidate: Candidate; readonly reason: string };

/** Some neighbouring candidates, and the pixels of their images one after another, compressed. */
export interface Portion {
  readonly outcomes: readonly Outcome[];
  readonly compressed: Uint8Array<ArrayBuffer>;
}

/** A shard as it is stored. */
export interface Shard {
  readonly parts: readonly Uint8Array<ArrayBuffer>[];
  readonly ref: BlobRef;
}

/** Raw pixels per shard, bytes: large enough to be worth a blob, small enough to hold several in memory. */
const shardBytes = 24 * 2 ** 20;

/**
 * Puts a dataset together from its portions in the order of their paths: packs shards, rejects duplicates, whose pixels
 * stay in the shards unused.
 */
export class Assembly {
  readonly rejected: Rejected[];
  #images: (Omit<ManifestImage, "class"> & { readonly class: string })[] = [];
  /** The first file with a content, by hash. */
  #first = new Map<string, Candidate>();
  #shards: BlobRef[] = [];
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #hash: Hash = createHash("sha256");
  /** Raw bytes in the current shard. */
  #used = 0;

  constructor(rejected: readonly Rejected[]) {
    this.rejected = [...rejected];
  }

  /** Takes the next portion; returns the shard that is full with it. `each` is called after each of its outcomes. */
  add({ outcomes, compressed }: Portion, each: () => void): Shard | undefined {
    for (const outcome of outcomes) {
      this.#take(outcome);
      each();
    }
    this.#parts.push(compressed);
    this.#hash.update(compressed);
    return this.#used < shardBytes ? undefined : this.finishShard();
  }

  #take(outcome: Outcome): void {
    const { candidate } = outcome;
    if ("reason" in outcome) {
      this.rejected.push({ file: candidate.path, reason: outcome.reason });
      return;
    }
    const { side, channels, hash } = outcome;
    const first = this.#first.get(hash);
    if (first) this.rejected.push({ file: candidate.path, reason: duplicateReason(first, candidate) });
    else {
      this.#first.set(hash, candidate);
      this.#images.push({ ...candidate, side, channels, shard: this.#shards.length, offset: this.#used });
    }
    this.#used += side * side * channels;
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

  /**
   * The manifest, once the last shard is finished, without the classes that have fewer than `minImages` images: those are
   * rejected as a whole, and what they put into the shards stays there unused.
   */
  manifest(name: string, classes: readonly string[], minImages: number): Manifest {
    const counts = new Map(classes.map((name) => [name, 0]));
    for (const image of this.#images) counts.set(image.class, counts.get(image.class)! + 1);
    for (const [name, count] of counts) {
      if (count >= minImages) continue;
      const reason = `class left out: ${count} usable images, at least ${minImages} are needed`;
      this.rejected.push({ file: `${name}/`, reason });
    }
    const kept = classes.filter((name) => counts.get(name)! >= minImages);
    const indexOf = new Map(kept.map((name, index) => [name, index]));
    return {
      v: 1,
      name,
      classes: kept,
      images: this.#images.flatMap((image) => {
        const index = indexOf.get(image.class);
        return index === undefined ? [] : [{ ...image, class: index }];
      }),
      shards: this.#shards,
      rejected: this.rejected.sort((a, b) => a.file < b.file ? -1 : 1),
    };
  }
}

/** What the files of a kind have in common comes before the colon, so that they can be grouped. */
const duplicateReason = (first: Candidate, second: Candidate): string =>
  first.class === second.class
    ? `exact duplicate of another image: ${first.path} is kept`
    : `exact duplicate of an image of another class, check which label is right: ${first.path} is kept`;
