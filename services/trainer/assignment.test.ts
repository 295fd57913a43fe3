import type { Labels, Method } from "@subtaxa/contracts";
import { expect } from "expect";
import { assignmentOf } from "./assignment.ts";
import { TrainingError } from "./error.ts";

const classOf = Uint16Array.of(0, 0, 1, 1, 1);
const training = Uint32Array.of(1, 2, 4);
const labels: Labels = {
  image: Uint32Array.of(4, 1, 2),
  class: Uint16Array.of(1, 0, 1),
  cluster: Uint16Array.of(3, 0, 1),
  distance: new Float32Array(3),
  subclasses: [{ class: 0, id: 0, from: 0 }, { class: 1, id: 1, from: 1 }, { class: 1, id: 3, from: 1 }],
  highestIds: [0, 3],
};

const settings = (method: Method) => ({ classes: ["a", "b"], method });
const whole = [{ class: 0, id: 0, from: 0 }, { class: 1, id: 0, from: 0 }];

Deno.test("each training image gets the head row of its sub-class, or of its class", () => {
  const divided = assignmentOf(labels, training, classOf, settings("clustering"));
  expect(divided.rows).toBe(labels.subclasses);
  expect([[...divided.row], [...divided.subclass], divided.subclasses]).toEqual([[0, 1, 2], [0, 1, 2], 3]);
  const undivided = assignmentOf(null, training, classOf, settings("clustering"));
  expect(undivided.rows).toEqual(whole);
  expect([[...undivided.row], [...undivided.subclass], undivided.subclasses]).toEqual([
    [0, 1, 1],
    [0, 1, 1],
    2,
  ]);
});

Deno.test("with GS-TRS the head tells classes apart, and the sub-classes remain for the triplets", () => {
  const { rows, row, subclass, subclasses } = assignmentOf(labels, training, classOf, settings("gs-trs"));
  expect(rows).toEqual(whole);
  expect([[...row], [...subclass], subclasses]).toEqual([[0, 1, 1], [0, 1, 2], 3]);
});

Deno.test("labels of other images are a typed error that says which", () => {
  const cases: [Labels, Uint32Array, RegExp][] = [
    [labels, Uint32Array.of(1, 3), /image 3 has none/],
    [
      { ...labels, class: Uint16Array.of(1, 1, 1), cluster: Uint16Array.of(3, 1, 1) },
      training,
      /image 1 of class 0/,
    ],
    [{ ...labels, cluster: Uint16Array.of(3, 0, 2) }, training, /image 2 is in sub-class 2 of class 1/],
    [labels, training.subarray(1), /3 labels for 2 training images/],
    [{ ...labels, image: Uint32Array.of(1, 2, 2) }, training, /labelled twice/],
  ];
  for (const [table, images, message] of cases) {
    expect(() => assignmentOf(table, images, classOf, settings("clustering"))).toThrow(TrainingError);
    expect(() => assignmentOf(table, images, classOf, settings("clustering"))).toThrow(message);
  }
});
