import type { Labels, Subclass } from "@subtaxa/contracts";
import { TrainingError } from "./error.ts";

/** What an epoch is trained on: the sub-classes, whose index is the head's row, and the row of each training image. */
export interface Assignment {
  readonly subclasses: readonly Subclass[];
  /** In the order of the training images; int32, as TensorFlow takes labels. */
  readonly rows: Int32Array;
}

const key = (classIndex: number, id: number) => `${classIndex}:${id}`;

/**
 * The pseudo-labels of the training images, or their classes where there are none yet. Every training image must be
 * labelled, within its own class: throws `TrainingError/LabelsMismatch` otherwise.
 */
export const assignmentOf = (
  labels: Labels | null,
  training: Uint32Array,
  classOf: Uint16Array,
  classes: number,
): Assignment => {
  if (!labels) {
    const subclasses = Array.from({ length: classes }, (_, index) => ({ class: index, id: 0, from: 0 }));
    return { subclasses, rows: Int32Array.from(training, (image) => classOf[image]!) };
  }
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
  const rows = Int32Array.from(training, (image) => {
    const label = rowOfImage.get(image);
    if (label === undefined) throw TrainingError.labelsMismatch(`image ${image} has none`);
    if (label.classIndex !== classOf[image]) {
      throw TrainingError.labelsMismatch(
        `image ${image} of class ${classOf[image]} is labelled as class ${label.classIndex}`,
      );
    }
    return label.row;
  });
  return { subclasses: labels.subclasses, rows };
};
