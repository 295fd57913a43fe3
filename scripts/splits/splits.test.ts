import { expect } from "expect";
import { groupBefore, meanAgreement, splitAgreements, telling } from "./mod.ts";

/** Pseudo-labels of one class in one epoch: image names begin with their group. */
const table = (epoch: number, name: string, subclasses: Record<string, number>) =>
  Object.entries(subclasses).map(([image, id]) => ({
    image: `${name}/${image}.png`,
    fold: 0,
    epoch,
    class: name,
    subclass: id,
  }));
const groupOf = (image: string) => image.split("/")[1]![0];

Deno.test("sub-classes are compared with the known groups, in the best epoch or the last one with a split", () => {
  const labels = [
    table(1, "whole", { a1: 0, a2: 0 }),
    table(2, "whole", { a1: 0, a2: 0 }),
    table(1, "early", { a1: 0, a2: 0, b1: 1, b2: 1 }),
    table(2, "early", { a1: 0, a2: 0, b1: 0, b2: 0 }),
    table(1, "best", { a1: 0, a2: 0, b1: 0, b2: 1 }),
    table(2, "best", { a1: 0, a2: 1, b1: 0, b2: 1 }),
    table(3, "best", { a1: 0, a2: 0, b1: 1, b2: 1 }),
  ].flat();
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
  expect(splitAgreements(table(1, "whole", { a1: 0, b1: 0 }), 1, groupOf)).toEqual([]);
});

Deno.test("a group is the part of the file's own name before the separator", () => {
  const group = groupBefore("__");
  expect(group("cope__pod/calanoid__12__a.jpg")).toBe("calanoid");
  expect(group("cope__pod/12.jpg")).toBeUndefined();
});

Deno.test("images without a known group are counted, and are no group of their own", () => {
  const named = table(1, "mixed", { a__1: 0, a__2: 0, b__1: 1, b__2: 1, n1: 0, n2: 1, n3: 1 });
  const [mixed] = splitAgreements(
    [...named, ...table(1, "nameless", { n1: 0, n2: 1 })],
    1,
    groupBefore("__"),
  );
  expect(mixed).toMatchObject({ class: "mixed", groups: 2, images: 4, ungrouped: 3, adjustedRandIndex: 1 });
  expect(splitAgreements(table(1, "nameless", { n1: 0, n2: 1 }), 1, groupBefore("__"))).toEqual([]);
});

Deno.test("a class with one known group takes no part in a mean", () => {
  const agreements = splitAgreements(
    [
      table(1, "one", { a1: 0, a2: 1 }),
      table(1, "same", { a1: 0, a2: 0, b1: 1, b2: 1 }),
      table(1, "crossed", { a1: 0, a2: 1, b1: 0, b2: 1 }),
    ].flat(),
    1,
    groupOf,
  );
  expect(agreements.length).toBe(3);
  expect(telling(agreements).map((one) => one.class)).toEqual(["same", "crossed"]);
  expect(meanAgreement(agreements)).toMatchObject({
    adjustedRandIndex: expect.closeTo(0.25, 12),
    purity: 0.75,
  });
  expect(meanAgreement(agreements.slice(0, 1))).toBeUndefined();
});
