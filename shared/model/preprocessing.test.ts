import { batch } from "@subtaxa/dataset";
import { expect } from "expect";
import { levelsOf, preprocessings } from "./mod.ts";

/** 0.2, 0.4, 0.6 of the whole range. */
const COLOUR = [51, 102, 153];
const values = (pixels: number[], mode: keyof typeof preprocessings) => {
  const channels = pixels.length === 3 ? 3 : 1;
  const images = { pixels: Uint8Array.from(pixels), side: 1, channels, count: 1 } as const;
  return [...batch(images, [0], { augment: "none" }, levelsOf(preprocessings[mode], channels))];
};

// scripts/fixtures/model_keras.py holds Keras' own figures for whole images (keras.test.ts); these are worked out by hand.
const cases: [keyof typeof preprocessings, number[], number[]][] = [
  ["symmetric", [-0.6, -0.2, 0.2], [-0.2, -0.2, -0.2]],
  ["caffe", [153 - 103.939, 102 - 116.779, 51 - 123.68], [102 - 103.939, 102 - 116.779, 102 - 123.68]],
  [
    "torch",
    [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.6 - 0.406) / 0.225],
    [(0.4 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.4 - 0.406) / 0.225],
  ],
];

for (const [mode, colour, grey] of cases) {
  Deno.test(`${mode}: a colour and a grey in the network's order and scale`, () => {
    values(COLOUR, mode).forEach((value, c) => expect(value).toBeCloseTo(colour[c]!, 4));
    expect(values([102], mode)).toHaveLength(3);
    values([102], mode).forEach((value, c) => expect(value).toBeCloseTo(grey[c]!, 4));
  });
}
