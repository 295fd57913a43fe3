import { z } from "zod";

/**
 * How the images of a step are divided: into portions, done one at a time, which lie one after the other in as many shards
 * as there may be instances at work at once.
 */
export const Division = z.object({
  images: z.number().int().min(0),
  /** Images that the network takes at once. */
  batch: z.number().int().min(1),
  /** Images in a portion, a multiple of the batch; the last portion may be smaller. */
  portion: z.number().int().min(1),
  shards: z.number().int().min(1),
});
export type Division = z.infer<typeof Division>;

/** Images `from` to, but not with, `to`, by their place in the step's list. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** So many portions of one step wait in the queue at most, and no other run waits for more of them. */
const mostShards = 16;
/** Batches in a portion: so many that a message for each does not matter, so few that others soon have their turn. */
const [fewest, most] = [16, 32];

/**
 * Divides a step by its number of images alone, never by the number of instances: the result is the same however many there
 * are. Portions begin with a batch, so the network sees the very batches that it would see without division.
 */
export const divide = (images: number, batch: number): Division => {
  const batches = Math.ceil(images / batch);
  const portion = batch * Math.min(most, Math.max(fewest, Math.ceil(batches / mostShards)));
  return { images, batch, portion, shards: Math.max(1, Math.min(mostShards, Math.ceil(images / portion))) };
};

/** The portions of a shard, in order; those of all shards, one after the other, are the whole. A step without images has one. */
export const portionsOf = ({ images, portion, shards }: Division, shard: number): Range[] => {
  const portions = Math.max(1, Math.ceil(images / portion));
  const [first, end] = [shard, shard + 1].map((n) => Math.floor(n * portions / shards)) as [number, number];
  return Array.from({ length: end - first }, (_, i) => ({
    from: (first + i) * portion,
    to: Math.min(images, (first + i + 1) * portion),
  }));
};

/** How many batches there are in some ranges. */
export const batchesIn = (ranges: readonly Range[], batch: number): number =>
  ranges.reduce((sum, { from, to }) => sum + Math.ceil((to - from) / batch), 0);
