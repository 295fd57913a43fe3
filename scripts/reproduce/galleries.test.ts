import { expect } from "expect";
import { classesToShow, galleriesIn } from "./galleries.ts";
import { plantedResults } from "./testing.ts";

Deno.test("galleries are cut out of a run's report, by class", () => {
  const table = (name: string) =>
    `<table class="gallery"><caption><strong>${name}</strong></caption></table>`;
  const report = `<main>${table("a &lt;&amp;&gt; b")}<table class="dense"></table>${table("c")}</main>`;
  expect(galleriesIn(report)).toEqual([
    { class: "a <&> b", html: table("a &lt;&amp;&gt; b") },
    { class: "c", html: table("c") },
  ]);
  expect(galleriesIn("<p>No class was divided.</p>")).toEqual([]);
});

Deno.test("shown are the classes that agree best with known groups, then those split the most", () => {
  const agreement = (name: string, adjustedRandIndex: number, groups: number) => ({
    fold: 0,
    class: name,
    epoch: 1,
    subclasses: 2,
    groups,
    images: 20,
    ungrouped: 0,
    adjustedRandIndex,
    normalisedMutualInformation: 0,
    purity: 1,
    purityUnsplit: 1,
  });
  const results = plantedResults(["a", "b", "c", "d"], [{
    method: "clustering",
    missed: [[0, 0, 0, 0]],
    clusters: [2, 5, 3, 1],
    agreement: [agreement("a", 0.9, 2), agreement("b", 0.1, 2), agreement("c", 1, 1)],
  }]);
  expect(classesToShow(results, "clustering", ["a", "b", "c"], 1)).toEqual(["a", "b"]);
  expect(classesToShow(results, "clustering", ["b", "c"], 2)).toEqual(["b", "c"]);
});
