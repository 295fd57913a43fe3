import { expect } from "expect";
import fc from "fast-check";
import { adapt, type AllowedClusters } from "./adaptation.ts";
import { ClusteringError } from "@subtaxa/clustering";

const settings = { confusionThreshold: 0.3, maxClusters: 5 };
const missed = 0.31;
const fine = 0.3; // not above the threshold

Deno.test("a class that is always missed walks 1 → 5 → 1 and up again", () => {
  const walk: [number, 0 | 1][] = [[2, 0], [3, 0], [4, 0], [5, 1], [4, 1], [3, 1], [2, 1], [1, 0], [2, 0]];
  let states: AllowedClusters[] = [{ allowedClusters: 1, flag: 0 }];
  for (const [allowedClusters, flag] of walk) {
    states = adapt(states, [missed], settings);
    expect(states).toEqual([{ allowedClusters, flag }]);
  }
});

Deno.test("a class below or at the threshold, or without a figure, stays as it is", () => {
  const states: AllowedClusters[] = [
    { allowedClusters: 1, flag: 0 },
    { allowedClusters: 5, flag: 1 },
    { allowedClusters: 3, flag: 1 },
  ];
  for (const falseNegative of [0, fine, NaN]) {
    expect(adapt(states, states.map(() => falseNegative), settings)).toEqual(states);
  }
});

Deno.test("classes are adapted each by its own false negatives, and keep what else they carry", () => {
  const states = [
    { name: "a", allowedClusters: 1, flag: 0 as const, clusters: 1 },
    { name: "b", allowedClusters: 4, flag: 0 as const, clusters: 2 },
    { name: "c", allowedClusters: 2, flag: 1 as const, clusters: 2 },
  ];
  const before = structuredClone(states);
  expect(adapt(states, [fine, missed, missed], settings)).toEqual([
    { name: "a", allowedClusters: 1, flag: 0, clusters: 1 },
    { name: "b", allowedClusters: 5, flag: 1, clusters: 2 },
    { name: "c", allowedClusters: 1, flag: 0, clusters: 2 },
  ]);
  expect(states).toEqual(before);
});

Deno.test("the limit stays within 1 … max, moves by one at most, and turns only at the ends", () => {
  fc.assert(fc.property(
    fc.integer({ min: 2, max: 8 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 }),
    (maxClusters, falseNegatives) => {
      let state: AllowedClusters = { allowedClusters: 1, flag: 0 };
      for (const falseNegative of falseNegatives) {
        const [next] = adapt([state], [falseNegative], { confusionThreshold: 0.3, maxClusters });
        const step = next!.allowedClusters - state.allowedClusters;
        expect(step).toBe(falseNegative > 0.3 ? (state.flag === 0 ? 1 : -1) : 0);
        expect(next!.allowedClusters).toBeGreaterThanOrEqual(1);
        expect(next!.allowedClusters).toBeLessThanOrEqual(maxClusters);
        if (next!.flag !== state.flag) expect(next!.allowedClusters).toBe(next!.flag === 1 ? maxClusters : 1);
        if (next!.allowedClusters === maxClusters) expect(next!.flag).toBe(1);
        if (next!.allowedClusters === 1) expect(next!.flag).toBe(0);
        state = next!;
      }
    },
  ));
});

Deno.test("with one cluster at most, a class is never divided", () => {
  let states: AllowedClusters[] = [{ allowedClusters: 1, flag: 0 }];
  for (let epoch = 0; epoch < 5; epoch++) {
    states = adapt(states, [1], { confusionThreshold: 0.3, maxClusters: 1 });
    expect(states[0]!.allowedClusters).toBe(1);
  }
});

Deno.test("a false negative too many or too few is a typed error", () => {
  expect(() => adapt([{ allowedClusters: 1, flag: 0 }], [], settings)).toThrow(ClusteringError);
});
