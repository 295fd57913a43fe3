import type { Random } from "@subtaxa/random";

/**
 * Ordinary shuffled batches of the positions 0 … `count` − 1: every position once. A last batch of a single image is left
 * out: it has no variance to normalise by and no triplet.
 */
export const shuffledBatches = (count: number, batchSize: number, random: Random): Uint32Array[] => {
  const order = random.shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  const batches = [];
  for (let from = 0; from < count; from += batchSize) batches.push(order.subarray(from, from + batchSize));
  return batches.filter((batch) => batch.length > 1);
};
