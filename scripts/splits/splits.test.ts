import { expect } from "expect";
import { splitAgreements } from "./mod.ts";

/** Pseudo-labels of one class in one epoch: image names begin with their group. */
const table = (epoch: number, name: string, subclasses: Record<string, number>) =>
  Object.entries(subclasses).map(([image, id]) =>
    `${name}/${image}.png,0,${epoch},${name},${id},${name}/${id},0`
  );
const csv = (...rows: string[][]) =>
  ["image,fold,epoch,class,subclass,label,distance", ...rows.flat()].join("\n");
const groupOf = (image: string) => image.split("/")[1]![0];

Deno.test("sub-classes are compared with the known groups, in the best epoch or the last one with a split", () => {
  const labels = csv(
    table(1, "whole", { a1: 0, a2: 0 }),
    table(2, "whole", { a1: 0, a2: 0 }),
    table(1, "early", { a1: 0, a2: 0, b1: 1, b2: 1 }),
    table(2, "early", { a1: 0, a2: 0, b1: 0, b2: 0 }),
    table(1, "best", { a1: 0, a2: 0, b1: 0, b2: 1 }),
    table(2, "best", { a1: 0, a2: 1, b1: 0, b2: 1 }),
    table(3, "best", { a1: 0, a2: 0, b1: 1, b2: 1 }),
  );
  const [early, best, ...more] = splitAgreements(labels, 2, groupOf);
  expect(more).toEqual([]);
  expect(early).toMatchObject({
    class: "early",
    epoch: 1,
    subclasses: 2,
    groups: 2,
    images: 4,
    adjustedRandIndex: 1,
  });
  expect(best).toMatchObject({ class: "best", epoch: 2, purity: 0.5, purityUnsplit: 0.5 });
  // two groups crossed with two sub-classes: below chance
  expect(best!.adjustedRandIndex).toBeCloseTo(-0.5, 12);
});

Deno.test("a run that split nothing has nothing to compare", () => {
  expect(splitAgreements(csv(table(1, "whole", { a1: 0, b1: 0 })), 1, groupOf)).toEqual([]);
});
