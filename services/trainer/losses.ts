import type { Mining } from "@subtaxa/contracts";
import type { Scalar, Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import { sparseSoftmaxCrossEntropy, tf, withGradient } from "@subtaxa/tensorflow";
import { type Distances, extreme, meanOfTriplets, type MinedLoss, miners } from "./miners.ts";

/** Below this a vector counts as zero: it has no direction. */
const TINY = 1e-12;

/**
 * Squared distances come from scalar products, whose rounding leaves this much of the squared lengths: what is smaller
 * counts as 0, and has no gradient.
 */
const ROUNDING = 1e-6;

/** Rows of length 1; a row of zeros stays zero. */
export const l2Normalise = (x: Tensor2D): Tensor2D =>
  tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), 1, true), TINY ** 2)));

/** Mean cross-entropy of the images (`logits` N × sub-classes, `labels` N). */
export const crossEntropy = (logits: Tensor2D, labels: Tensor1D): Scalar =>
  tf.mean(sparseSoftmaxCrossEntropy(logits, labels));

/** Euclidean distances, A × N. */
const distancesBetween = (anchors: Tensor2D, points: Tensor2D): Tensor2D => {
  const lengths = tf.add<Tensor2D>(
    tf.sum(tf.square(anchors), 1, true),
    tf.expandDims(tf.sum(tf.square(points), 1), 0),
  );
  const squares = tf.sub<Tensor2D>(lengths, tf.mul(tf.matMul(anchors, points, false, true), 2));
  const isZero = tf.lessEqual(squares, tf.mul(lengths, ROUNDING)); // not so for NaN, which shall be seen
  return tf.sqrt(tf.where(isZero, tf.zerosLike(squares), squares));
};

/**
 * A loss of the distances between anchors (A × d) and points (N × d), differentiable in both: the five numbers of
 * `tripletLoss`.
 */
const lossOfDistances = (
  anchors: Tensor2D,
  points: Tensor2D,
  mine: (distances: Distances) => MinedLoss,
): Tensor1D =>
  withGradient([anchors, points], (save) => {
    // Distances don't depend on the origin, but their precision does.
    const origin = tf.mean<Tensor2D>(points, 0, true);
    const [from, to] = [tf.sub<Tensor2D>(anchors, origin), tf.sub<Tensor2D>(points, origin)];
    const distances = distancesBetween(from, to);
    const mined = mine({ values: distances.dataSync<"float32">(), images: points.shape[0] });
    // ∂‖a − x‖ / ∂a = (a − x) / ‖a − x‖, and 0 where they are equal
    const pull = tf.divNoNan(tf.tensor2d(mined.slopes, distances.shape), distances) as Tensor2D;
    save([
      tf.sub(tf.mul(from, tf.sum(pull, 1, true)), tf.matMul(pull, to)),
      tf.sub(tf.mul(to, tf.expandDims(tf.sum(pull, 0), 1)), tf.matMul(pull, from, true)),
    ]);
    const { loss, active, positiveDistance, negativeDistance, triplets } = mined;
    return {
      value: tf.tensor1d([loss, active, positiveDistance, negativeDistance, triplets]),
      gradient: (dy, saved) => saved.map((kept) => tf.mul(kept, tf.slice1d(dy, 0, 1))),
    };
  });

/**
 * The paper's triplet loss, equation (1), max(‖f(a) − f(p)‖ − ‖f(a) − f(n)‖ + α, 0) with Euclidean norms that are not
 * squared, on L2-normalised embeddings, over those triplets of the batch that `mining` chooses (see miners.ts).
 *
 * `embeddings` N × d, `labels` N (sub-classes). Returns five numbers: the loss; the share of triplets whose loss is
 * positive; the mean distances anchor–positive and anchor–negative; the number of triplets that these three are means
 * over (batch-hard: anchors; semi-hard: anchor–positive pairs; all: triplets). Only the first has a gradient. Without any
 * triplet all five are 0, and so is the gradient. Takes time N² log N and memory N².
 */
export const tripletLoss = (
  embeddings: Tensor2D,
  labels: Tensor1D,
  { mining, margin }: { readonly mining: Mining; readonly margin: number },
): Tensor1D => {
  const points = l2Normalise(embeddings);
  const subclasses = labels.dataSync<"int32">();
  return lossOfDistances(points, points, (distances) => miners[mining](distances, subclasses, margin));
};

/** Images (columns) that belong together, and those that they are to be kept from. */
interface Group {
  readonly members: readonly number[];
  readonly others: readonly number[];
}

/** Groups by `label` of at least two images, with `others` of at least one. */
const groupsBy = (
  label: ArrayLike<number>,
  isOther: (image: number, member: number) => boolean,
): Group[] => {
  const images = Array.from(label).keys().toArray();
  return [...Map.groupBy(images, (image) => label[image]!).values()]
    .map((members) => ({ members, others: images.filter((image) => isOther(image, members[0]!)) }))
    .filter(({ members, others }) => members.length > 1 && others.length > 0);
};

/**
 * The triplet losses of GS-TRS (Em et al. 2017, "Incorporating intra-class variance to fine-grained visual recognition"),
 * with their mean-valued anchors, here with the norms and the normalised embeddings of `tripletLoss`:
 *
 * - class level: anchor is the mean of a class's images in the batch; each of them is a positive once, with the image of
 *   another class that is nearest to the anchor as negative; margin α.
 * - sub-class level: anchor is the mean of a sub-class's images; negative is the nearest image of another sub-class of the
 *   same class; margin `subclassMargin` · α: they may lie closer together.
 *
 * The loss is the sum of both levels, each the mean over its triplets; these equal weights are Subtaxa's
 * choice. A group of a single image, which is its own mean, has no triplet.
 *
 * `embeddings` N × d; `classes` and `subclasses` N, where a sub-class belongs to one class (rows of the head). Returns five
 * numbers as `tripletLoss` does, of which the last four are of the class level. The anchors' share of the gradient goes on
 * to the images that they are means of.
 */
export const groupSensitiveTriplets = (
  embeddings: Tensor2D,
  classes: Tensor1D,
  subclasses: Tensor1D,
  { margin, subclassMargin }: { readonly margin: number; readonly subclassMargin: number },
): Tensor1D => {
  const [ofClass, ofSubclass] = [classes.dataSync<"int32">(), subclasses.dataSync<"int32">()];
  const classLevel = groupsBy(ofClass, (image, member) => ofClass[image] !== ofClass[member]);
  const subclassLevel = groupsBy(
    ofSubclass,
    (image, member) => ofClass[image] === ofClass[member] && ofSubclass[image] !== ofSubclass[member],
  );
  const groups = [...classLevel, ...subclassLevel];
  const points = l2Normalise(embeddings);
  const images = points.shape[0];
  // Without any group one anchor is left, which is in no triplet.
  const averaging = new Float32Array(Math.max(groups.length, 1) * images);
  groups.forEach(({ members }, row) => {
    for (const member of members) averaging[row * images + member] = 1 / members.length;
  });
  const anchors = tf.matMul<Tensor2D>(tf.tensor2d(averaging, [averaging.length / images, images]), points);

  return lossOfDistances(anchors, points, (distances) => {
    const level = (some: readonly Group[], firstRow: number, margin: number) =>
      meanOfTriplets(distances, margin, (count) =>
        some.forEach(({ members, others }, index) => {
          const anchor = firstRow + index;
          const negative = extreme(distances, anchor, others, -1);
          for (const member of members) count(anchor, member, negative);
        }));
    const between = level(classLevel, 0, margin);
    const within = level(subclassLevel, classLevel.length, subclassMargin * margin);
    return {
      ...between,
      loss: between.loss + within.loss,
      slopes: between.slopes.map((slope, i) => slope + within.slopes[i]!),
    };
  });
};
