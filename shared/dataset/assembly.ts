import type { BlobRef, Manifest, ManifestImage, Rejected } from "@subtaxa/contracts";
import type { Image } from "./resample.ts";
import type { Candidate } from "./walk.ts";

/** A candidate that was read: a square image and the hash of its file, or why there is none. */
export type Outcome =
  | { readonly candidate: Candidate; readonly image: Image; readonly hash: string }
  | { readonly candidate: Candidate; readonly reason: string };

/** Raw pixels per shard, bytes: large enough to be worth a blob, small enough to hold several in memory. */
const shardBytes = 24 * 2 ** 20;

/** Puts a dataset together from its images in the order of their paths: packs shards, rejects duplicates. */
export class Assembly {
  readonly rejected: Rejected[];
  #images: (Omit<ManifestImage, "class"> & { readonly class: string })[] = [];
  /** The first file with a content, by hash. */
  #first = new Map<string, Candidate>();
  #shard = 0;
  #pixels = new Uint8Array(shardBytes);
  #used = 0;

  constructor(rejected: readonly Rejected[]) {
    this.rejected = [...rejected];
  }

  /** Takes the next image; returns the pixels of a shard that it no longer fitted into. */
  add(outcome: Outcome): Uint8Array<ArrayBuffer> | undefined {
    const { candidate } = outcome;
    const first = "hash" in outcome ? this.#first.get(outcome.hash) : undefined;
    if ("reason" in outcome || first) {
      const reason = "reason" in outcome ? outcome.reason : duplicateReason(first!, candidate);
      this.rejected.push({ file: candidate.path, reason });
      return undefined;
    }
    this.#first.set(outcome.hash, candidate);
    const { width: side, channels, data } = outcome.image;
    const full = this.#used + data.length > this.#pixels.length ? this.finishShard() : undefined;
    if (data.length > this.#pixels.length) this.#pixels = new Uint8Array(data.length);
    this.#pixels.set(data, this.#used);
    this.#images.push({ ...candidate, side, channels, shard: this.#shard, offset: this.#used });
    this.#used += data.length;
    return full;
  }

  /** The pixels of the current shard; undefined when it is empty. */
  finishShard(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#used === 0) return undefined;
    const full = this.#pixels.subarray(0, this.#used);
    this.#pixels = new Uint8Array(shardBytes);
    this.#used = 0;
    this.#shard += 1;
    return full;
  }

  /**
   * The manifest, without the classes that have fewer than `minImages` images: those are rejected as a whole, and
   * what they put into the shards stays there unused.
   */
  manifest(
    name: string,
    classes: readonly string[],
    minImages: number,
    shards: readonly BlobRef[],
  ): Manifest {
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
      shards: [...shards],
      rejected: this.rejected.sort((a, b) => a.file < b.file ? -1 : 1),
    };
  }
}

/** What the files of a kind have in common comes before the colon, so that they can be grouped. */
const duplicateReason = (first: Candidate, second: Candidate): string =>
  first.class === second.class
    ? `exact duplicate of another image: ${first.path} is kept`
    : `exact duplicate of an image of another class, check which label is right: ${first.path} is kept`;
