import type { Labels, Method, Subclass } from "@subtaxa/contracts";
import { TrainingError } from "./error.ts";

/** What an epoch is trained on; indices are int32, as TensorFlow takes labels, in the order of the training images. */
export interface Assignment {
  /** What the rows of the head stand for. */
  readonly rows: readonly Subclass[];
  /** Row of the head for each image. */
  readonly row: Int32Array;
  /** How many sub-classes there are, and that of each image: what triplets are made of. */
  readonly subclasses: number;
  readonly subclass: Int32Array;
}

const key = (classIndex: number, id: number) => `${classIndex}:${id}`;

/**
 * The pseudo-labels of the training images, or their classes where there are none yet. The head has a row for every
 * sub-class; with GS-TRS, which uses sub-classes in its triplets alone, a row for every class. Every training image must be
 * labelled, within its own class: throws `TrainingError/LabelsMismatch` otherwise.
 */
export const assignmentOf = (
  labels: Labels | null,
  training: Uint32Array,
  classOf: Uint16Array,
  { classes, method }: { readonly classes: readonly string[]; readonly method: Method },
): Assignment => {
  const whole = {
    rows: classes.map((_, index) => ({ class: index, id: 0, from: 0 })),
    row: Int32Array.from(training, (image) => classOf[image]!),
  };
  if (!labels) return { ...whole, subclasses: classes.length, subclass: whole.row };
  const row = pseudoLabelsOf(labels, training, classOf);
  const divided = { rows: labels.subclasses, row };
  return { ...(method === "gs-trs" ? whole : divided), subclasses: labels.subclasses.length, subclass: row };
};

/** For each training image, the index of its sub-class. */
const pseudoLabelsOf = (labels: Labels, training: Uint32Array, classOf: Uint16Array): Int32Array => {
  const rowOf = new Map(labels.subclasses.map((subclass, row) => [key(subclass.class, subclass.id), row]));
  const rowOfImage = new Map(Array.from(labels.image, (image, i) => {
    const [classIndex, id] = [labels.class[i]!, labels.cluster[i]!];
    const row = rowOf.get(key(classIndex, id));
    if (row === undefined) {
      throw TrainingError.labelsMismatch(
        `image ${image} is in sub-class ${id} of class ${classIndex}, which is not listed`,
      );
    }
    return [image, { row, classIndex }] as const;
  }));
  if (rowOfImage.size < labels.image.length) throw TrainingError.labelsMismatch("an image is labelled twice");
  const row = Int32Array.from(training, (image) => {
    const label = rowOfImage.get(image);
    if (label === undefined) throw TrainingError.labelsMismatch(`image ${image} has none`);
    if (label.classIndex !== classOf[image]) {
      throw TrainingError.labelsMismatch(
        `image ${image} of class ${classOf[image]} is labelled as class ${label.classIndex}`,
      );
    }
    return label.row;
  });
  if (labels.image.length > training.length) {
    throw TrainingError.labelsMismatch(
      `there are ${labels.image.length} labels for ${training.length} training images`,
    );
  }
  return row;
};
