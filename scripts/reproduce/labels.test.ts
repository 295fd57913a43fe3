import { expect } from "expect";
import fc from "fast-check";
import { stringify } from "csv-stringify/sync";
import { groupBefore, labelRows } from "../splits/mod.ts";
import { agreementsOf, labelsOfEpochs } from "./labels.ts";

const columns = ["image", "fold", "epoch", "class", "subclass", "label", "distance"];

/** A download in pieces of these numbers of bytes, in turn. */
const download = (text: string, sizes: readonly number[]): ReadableStream<Uint8Array> => {
  const bytes = new TextEncoder().encode(text);
  const pieces: Uint8Array[] = [];
  for (let from = 0; from < bytes.length;) {
    const size = sizes[pieces.length % sizes.length]!;
    pieces.push(bytes.slice(from, from + size));
    from += size;
  }
  return ReadableStream.from(pieces);
};

Deno.test("the rows of each fold's epoch, whatever the file names hold and wherever the pieces end", async () => {
  const row = fc.record({
    image: fc.array(fc.constantFrom("a", ",", '"', "\n", "/", "1,1,", "é"), { minLength: 1 })
      .map((parts) => parts.join("")),
    fold: fc.nat(2),
    epoch: fc.integer({ min: 1, max: 3 }),
  });
  await fc.assert(fc.asyncProperty(
    fc.array(row, { maxLength: 12 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
    async (rows, sizes) => {
      const text = stringify([
        columns,
        ...rows.map(({ image, fold, epoch }) => [image, fold, epoch, "c", 0, "c/0", 0.5]),
      ]);
      const found = await labelsOfEpochs(labelRows(download(text, sizes)), new Map([[0, 2], [1, 1]]));
      for (const [fold, epoch] of [[0, 2], [1, 1], [2, undefined]] as const) {
        const wanted = rows.filter((one) => one.fold === fold && one.epoch === epoch).map(({ image }) =>
          image
        );
        const images = (found.get(fold) ?? []).map(({ image }) => image);
        expect(images).toEqual(wanted);
      }
    },
  ));
});

Deno.test("agreement is that of the best epoch of each fold", async () => {
  const rows = (fold: number, epoch: number, subclassOf: (i: number) => number) =>
    Array.from(
      { length: 8 },
      (_, i) => [`c/${i < 4 ? "x" : "y"}__${i}.png`, fold, epoch, "c", subclassOf(i), "", 0],
    );
  const text = stringify([
    columns,
    ...rows(0, 1, (i) => i % 2),
    ...rows(0, 2, (i) => (i < 4 ? 3 : 7)),
    ...rows(1, 1, () => 0),
    ...rows(1, 2, (i) => i % 2),
  ]);
  const epochs = new Map([[0, 2], [1, 1]]);
  const labels = await labelsOfEpochs(labelRows(download(text, [17])), epochs);
  expect(agreementsOf(labels, epochs, groupBefore("__"))).toEqual([{
    fold: 0,
    class: "c",
    epoch: 2,
    subclasses: 2,
    groups: 2,
    images: 8,
    ungrouped: 0,
    adjustedRandIndex: 1,
    normalisedMutualInformation: expect.closeTo(1, 12),
    purity: 1,
    purityUnsplit: 0.5,
  }]);
});
