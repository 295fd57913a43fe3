import type { Tensor, Variable } from "@tensorflow/tfjs";
import { tf } from "@subtaxa/tensorflow";
import type { Trained } from "@subtaxa/model";

/** Decay rates of Adam's moments and its ε (Kingma & Ba 2015; ε as in Keras), the same for network and head. */
export const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

/** Adam's step size with the bias correction of step `step` ("efficient form", end of section 2). */
export const stepSize = (learningRate: number, step: number): number =>
  learningRate * Math.sqrt(1 - ADAM.beta2 ** step) / (1 - ADAM.beta1 ** step);

/** A variable of the head, whose first axis is the row, with Adam's moments. */
export interface RowVariable {
  readonly variable: Variable;
  readonly first: Variable;
  readonly second: Variable;
}

export const rowVariable = (
  name: string,
  shape: readonly number[],
  { value, first, second }: Trained,
): RowVariable => {
  const create = (values: Float32Array, suffix = "") =>
    tf.tidy(() => tf.variable(tf.tensor(values, [...shape]), suffix === "", name + suffix));
  return { variable: create(value), first: create(first, "/m"), second: create(second, "/v") };
};

/**
 * One Adam step in which every row has a step count of its own: after a relabelling the new rows' moments start at zero, and
 * with the old count they would take steps several times the learning rate. `steps[r]` counts this step already.
 */
export const stepRows = (
  { variable, first, second }: RowVariable,
  gradient: Tensor,
  learningRate: number,
  steps: Int32Array,
): void =>
  tf.tidy(() => {
    const { beta1, beta2, epsilon } = ADAM;
    const perRow = [steps.length, ...variable.shape.slice(1).map(() => 1)];
    const sizes = tf.tensor(Float32Array.from(steps, (step) => stepSize(learningRate, step)), perRow);
    first.assign(tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1)));
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2)));
    const direction = tf.div(first, tf.add(tf.sqrt(second), epsilon));
    variable.assign(tf.sub(variable, tf.mul(direction, sizes)));
  });
