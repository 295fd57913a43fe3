import { expect } from "expect";
import fc from "fast-check";
import sharp from "sharp";
import type { Labels } from "@subtaxa/contracts";
import { runLog } from "@subtaxa/runs";
import { syntheticRun } from "@subtaxa/runs/testing";
import { galleryChoices, galleryOf, thumbnail } from "./mod.ts";

const rows = fc.array(
  fc.record({ class: fc.nat(2), cluster: fc.nat(3), distance: fc.constantFrom(0, 0.5, 1, 2) }),
  { maxLength: 60 },
);

Deno.test("a gallery holds the images nearest to each centre", () => {
  fc.assert(fc.property(rows, fc.integer({ min: 1, max: 5 }), (rows, perSubclass) => {
    const found = new Map(rows.map((row) => [`${row.class}/${row.cluster}`, row]));
    const subclasses = [...found.values()].map((row) => ({
      class: row.class,
      id: row.cluster,
      from: row.cluster,
    }))
      .toSorted((a, b) => a.class - b.class || a.id - b.id);
    const labels: Labels = {
      image: Uint32Array.from(rows, (_, i) => 10 + 2 * i),
      class: Uint16Array.from(rows, (row) => row.class),
      cluster: Uint16Array.from(rows, (row) => row.cluster),
      distance: Float32Array.from(rows, (row) => row.distance),
      subclasses,
      highestIds: [3, 3, 3],
    };
    for (const index of [0, 1, 2]) {
      const gallery = galleryOf(labels, { class: index, perSubclass });
      expect(gallery.map(({ id }) => id)).toEqual(
        subclasses.filter((subclass) => subclass.class === index).map(({ id }) => id),
      );
      for (const { id, size, images } of gallery) {
        const own = rows.map((row, i) => ({ ...row, image: 10 + 2 * i }))
          .filter((row) => row.class === index && row.cluster === id);
        expect(size).toBe(own.length);
        expect(images).toHaveLength(Math.min(perSubclass, own.length));
        const distanceOf = (image: number) => own.find((row) => row.image === image)!.distance;
        const chosen = images.map(distanceOf);
        expect(chosen).toEqual(chosen.toSorted((a, b) => a - b));
        const left = own.filter(({ image }) => !images.includes(image)).map(({ distance }) => distance);
        expect(Math.max(-1, ...chosen)).toBeLessThanOrEqual(Math.min(9, ...left));
      }
    }
  }));
});

Deno.test("every class that was ever split has one gallery: of the best epoch where it was split then", () => {
  const runs = fc.record({ seed: fc.nat(1000), folds: fc.integer({ min: 1, max: 3 }), cut: fc.nat() });
  fc.assert(
    fc.property(runs, ({ seed, folds, cut }) => {
      const classes = ["a", "b", "c", "d", "e"];
      const events = syntheticRun({ classes, seed, folds, epochs: 6 });
      const seen = events.slice(0, 1 + cut % events.length);
      const log = runLog(seen);
      const split = new Map<string, { fold: number; epoch: number; labels: unknown }[]>();
      for (const event of seen) {
        if (event.type !== "epoch.trained") continue;
        for (const { name, clusters } of event.state.classes) {
          const at = { fold: event.fold, epoch: event.epoch, labels: event.state.labels };
          if (clusters > 1) split.set(name, [...(split.get(name) ?? []), at]);
        }
      }
      const choices = galleryChoices(log);
      expect(choices.map((choice) => choice.class).toSorted()).toEqual([...split.keys()].toSorted());
      for (const { class: name, index, ...at } of choices) {
        expect(classes[index]).toBe(name);
        expect(split.get(name)).toContainEqual(at);
        if (folds > 1) continue;
        const best = seen.findLast((event) => event.type === "epoch.validated")?.state.best?.epoch;
        const epochs = split.get(name)!.map(({ epoch }) => epoch);
        expect(at.epoch).toBe(best !== undefined && epochs.includes(best) ? best : Math.max(...epochs));
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("with several folds, galleries come from the fold that did best on its held-out images", () => {
  const log = runLog(syntheticRun({ classes: ["a", "b", "c", "d"], seed: 11, folds: 3, epochs: 8 }));
  const score = (fold: number) => log.folds[fold]!.completed!.metrics.fScore;
  const best = [0, 1, 2].toSorted((a, b) => score(b) - score(a))[0]!;
  const at = log.folds[best]!.completed!.state.best!.epoch;
  const divided = log.folds[best]!.epochs[at - 1]!.trained.state.classes
    .filter(({ clusters }) => clusters > 1).map(({ name }) => name);
  expect(divided.length).toBeGreaterThan(0);
  for (const name of divided) {
    expect(galleryChoices(log).find((choice) => choice.class === name)).toMatchObject({
      fold: best,
      epoch: at,
    });
  }
});

const pixelsOf = async (uri: string) => {
  const png = sharp(Uint8Array.fromBase64(uri.slice(uri.indexOf(",") + 1)));
  const { channels } = await png.metadata();
  const raw = png.toColourspace(channels === 1 ? "b-w" : "srgb").raw();
  return await raw.toBuffer({ resolveWithObject: true });
};

for (const channels of [1, 3] as const) {
  Deno.test(`a small image of ${channels} channel(s) comes back pixel by pixel`, async () => {
    const pixels = Uint8Array.from({ length: 5 * 5 * channels }, (_, i) => (i * 37) % 256);
    const uri = await thumbnail(pixels, 5, channels);
    expect(uri.startsWith("data:image/png;base64,")).toBe(true);
    const { data, info } = await pixelsOf(uri);
    expect(info).toMatchObject({ width: 5, height: 5, channels });
    expect(Uint8Array.from(data)).toEqual(pixels);
  });
}

Deno.test("a large image is reduced to 80 pixels", async () => {
  const { data, info } = await pixelsOf(await thumbnail(new Uint8Array(256 * 256).fill(90), 256, 1));
  expect(info).toMatchObject({ width: 80, height: 80 });
  expect(data.every((pixel) => pixel === 90)).toBe(true);
});
