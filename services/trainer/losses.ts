import type { Scalar, Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs";
import { sparseSoftmaxCrossEntropy, tf, withGradient } from "@subtaxa/tensorflow";

/** Below this a vector counts as zero: it has no direction, and its norm no gradient. */
const TINY = 1e-12;

/** Euclidean norm of each row, N × 1. Never smaller than `TINY`, so that the gradient at 0 is 0 and not NaN. */
const rowNorms = (x: Tensor2D) => tf.sqrt(tf.maximum(tf.sum(tf.square(x), 1, true), TINY ** 2)) as Tensor2D;

/** Rows of length 1; a row of zeros stays zero. */
export const l2Normalise = (x: Tensor2D): Tensor2D => tf.div(x, rowNorms(x));

/** Mean cross-entropy of the images (`logits` N × sub-classes, `labels` N). */
export const crossEntropy = (logits: Tensor2D, labels: Tensor1D): Scalar =>
  tf.mean(sparseSoftmaxCrossEntropy(logits, labels));

/**
 * For every anchor the index of its farthest positive and nearest negative, and 1 where both exist, otherwise 0.
 * Squared distances order pairs as distances do.
 */
const mineHardest = (embeddings: Tensor2D, labels: Tensor1D) => {
  const gram = tf.matMul(embeddings, embeddings, false, true);
  const squares = tf.sum(tf.square(embeddings), 1);
  const distances = tf.sub(tf.add(tf.expandDims(squares, 1), tf.expandDims(squares, 0)), tf.mul(gram, 2));
  const same = tf.equal(tf.expandDims(labels, 1), tf.expandDims(labels, 0));
  const itself = tf.cast(tf.eye(embeddings.shape[0]), "bool");
  const positives = tf.logicalAnd(same, tf.logicalNot(itself));
  return {
    positive: tf.argMax<Tensor1D>(tf.where(positives, distances, -Infinity), 1),
    negative: tf.argMin<Tensor1D>(tf.where(same, Infinity, distances), 1),
    valid: tf.cast(
      tf.logicalAnd(tf.any(positives, 1), tf.any(tf.logicalNot(same), 1)),
      "float32",
    ) as Tensor1D,
  };
};

/**
 * The paper's triplet loss, equation (1), max(‖f(a) − f(p)‖ − ‖f(a) − f(n)‖ + α, 0) with Euclidean norms that are not
 * squared, on L2-normalised embeddings. Triplets are mined batch-hard: each anchor that has a positive and a negative in
 * the batch, with the farthest positive and the nearest negative; the loss is the mean over these anchors.
 *
 * `embeddings` N × d, `labels` N (sub-classes). Returns five numbers: the loss; the share of anchors whose loss is
 * positive; the mean distances anchor–positive and anchor–negative; the number of anchors. Only the first has a gradient.
 * Without any anchor all five are 0, and so is the gradient.
 */
export const batchHardTriplets = (embeddings: Tensor2D, labels: Tensor1D, margin: number): Tensor1D => {
  const points = l2Normalise(embeddings);
  return withGradient([points], (save) => {
    const { positive, negative, valid } = mineHardest(points, labels);
    const toPositive = tf.sub<Tensor2D>(points, tf.gather(points, positive));
    const toNegative = tf.sub<Tensor2D>(points, tf.gather(points, negative));
    const positiveDistance = rowNorms(toPositive);
    const negativeDistance = rowNorms(toNegative);
    const hinge = tf.add(tf.sub(positiveDistance, negativeDistance), margin);
    const anchors = tf.expandDims(valid, 1);
    const active = tf.mul(anchors, tf.cast(tf.greater(hinge, 0), "float32"));
    const share = tf.div(anchors, tf.maximum(tf.sum(anchors), 1));
    const mean = (values: Tensor) => tf.sum(tf.mul(values, share));
    const value = tf.stack<Tensor>([
      mean(tf.mul(hinge, active)),
      mean(active),
      mean(positiveDistance),
      mean(negativeDistance),
      tf.sum(anchors),
    ]) as Tensor1D;
    // ∂‖u‖/∂u = u/‖u‖; where u = 0 this is 0, because the norm is not.
    const weight = tf.mul(share, active);
    const pull = tf.mul(toPositive, tf.div(weight, positiveDistance));
    const push = tf.mul(toNegative, tf.div(weight, negativeDistance));
    const count = points.shape[0];
    const gradient = tf.add(
      tf.sub(pull, push),
      tf.sub(tf.unsortedSegmentSum(push, negative, count), tf.unsortedSegmentSum(pull, positive, count)),
    );
    save([gradient]);
    return { value, gradient: (dy, saved) => saved.map((kept) => tf.mul(kept, tf.slice1d(dy, 0, 1))) };
  });
};
