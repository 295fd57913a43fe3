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

/** The images of one class in the epoch's order, and how many groups of K they give. */
interface Hand {
  readonly positions: readonly number[];
  groups: number;
}

/**
 * P × K batches: groups of K = `imagesPerClass` images of one class (sub-class), P = ⌊`batchSize` / K⌋ groups a batch.
 * `rows` says the class of each position.
 *
 * - Every position comes at least once. A class's images are dealt in groups of K; the last group is filled up from the
 *   front, so only that one repeats images of the epoch, and only in a class of fewer than K does a group hold an image
 *   twice.
 * - An epoch is as long as a shuffled one, but for what the filling up adds (fewer than K images a class): ⌈groups / P⌉
 *   batches, of which none has two groups more than another.
 * - The groups of a class are spread evenly over the batches: none gets a second one before each has one. So a batch has
 *   exactly K images of each of P different classes, unless a class holds more than a P-th of the epoch: leaving its
 *   images out or repeating all others would change the weights of the classes.
 * - No batch consists of one class if there are several: should one hold nearly all images, the others give groups
 *   again. P is 2 at least, with a smaller K where the batch is too small.
 */
export const groupedBatches = (
  rows: ArrayLike<number>,
  batchSize: number,
  imagesPerClass: number,
  random: Random,
): Uint32Array[] => {
  const size = Math.max(1, Math.min(imagesPerClass, Math.floor(batchSize / 2)));
  const perBatch = Math.max(2, Math.floor(batchSize / size));
  const hands = handsOf(rows, size, random);
  const [largest, ...others] = hands;
  if (!largest) return [];
  let total = hands.reduce((sum, { groups }) => sum + groups, 0);
  const batchCount = () => Math.ceil(total / perBatch);
  const isShort = () => total - largest.groups < batchCount() || total < 2 * batchCount();
  for (let i = 0; others.length > 0 && isShort(); i++, total++) others[i % others.length]!.groups++;

  // Dealt one after another, the largest class first: the groups of one class go to different batches, and so do those of
  // all others together.
  const batches = Array.from({ length: batchCount() }, (): number[] => []);
  let dealt = 0;
  for (const { positions, groups } of hands) {
    for (let first = 0; first < groups * size; first += size, dealt++) {
      const batch = batches[dealt % batches.length]!;
      for (let i = first; i < first + size; i++) batch.push(positions[i % positions.length]!);
    }
  }
  return random.shuffle(batches).map((batch) => Uint32Array.from(batch));
};

/** All classes, the one with the most images first and the others in any order. */
const handsOf = (rows: ArrayLike<number>, size: number, random: Random): Hand[] => {
  const byClass = Map.groupBy(Array.from(rows).keys(), (position) => rows[position]!);
  const hands = random.shuffle([...byClass.values()]).map((positions): Hand => ({
    positions: random.shuffle(positions),
    groups: Math.ceil(positions.length / size),
  }));
  const most = Math.max(...hands.map(({ groups }) => groups));
  const largest = hands.findIndex(({ groups }) => groups === most);
  return [...hands.splice(largest, 1), ...hands];
};
