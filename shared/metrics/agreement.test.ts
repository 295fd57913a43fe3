import { expect } from "expect";
import fc from "fast-check";
import fixture from "./agreement.fixture.json" with { type: "json" };
import { adjustedRandIndex, normalisedMutualInformation, purity } from "./agreement.ts";

for (const example of fixture.cases) {
  Deno.test(`agreement as scikit-learn has it: ${example.name}`, () => {
    const { classes, clusters } = example;
    expect(adjustedRandIndex(classes, clusters)).toBeCloseTo(example.adjustedRandIndex, 12);
    expect(normalisedMutualInformation(classes, clusters)).toBeCloseTo(
      example.normalisedMutualInformation,
      12,
    );
    expect(purity(classes, clusters)).toBeCloseTo(example.purity, 12);
  });
}

const labelled = fc.array(fc.tuple(fc.nat(4), fc.nat(3)), { minLength: 2, maxLength: 30 });

Deno.test("the adjusted Rand index agrees with counting pairs", () => {
  fc.assert(fc.property(labelled, (things) => {
    let [both, inA, inB, all] = [0, 0, 0, 0];
    things.forEach(([a, b], i) =>
      things.slice(0, i).forEach(([a2, b2]) => {
        if (a === a2) inA++;
        if (b === b2) inB++;
        if (a === a2 && b === b2) both++;
        all++;
      })
    );
    const expected = inA * inB / all;
    const most = (inA + inB) / 2;
    fc.pre(most - expected > 1e-9);
    expect(adjustedRandIndex(things.map(([a]) => a), things.map(([, b]) => b)))
      .toBeCloseTo((both - expected) / (most - expected), 12);
  }));
});

Deno.test("names don't matter, nor which labelling comes first", () => {
  fc.assert(fc.property(labelled, (things) => {
    const [a, b] = [things.map(([first]) => first), things.map(([, second]) => second)];
    const names = a.map((label) => `taxon ${7 - label}`);
    for (const measure of [adjustedRandIndex, normalisedMutualInformation]) {
      expect(measure(names, b)).toBeCloseTo(measure(a, b), 12);
      expect(measure(b, a)).toBeCloseTo(measure(a, b), 12);
      expect(measure(a, names)).toBeCloseTo(1, 12);
    }
    expect(purity(names, b)).toBe(purity(a, b));
    expect(purity(a, names)).toBe(1);
  }));
});

Deno.test("nothing agrees with nothing; different lengths are an error", () => {
  expect([adjustedRandIndex([], []), normalisedMutualInformation([], []), purity([], [])]).toEqual([1, 1, 1]);
  expect(() => adjustedRandIndex([1], [1, 2])).toThrow(RangeError);
});
