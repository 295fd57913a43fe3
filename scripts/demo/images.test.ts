import { join } from "node:path";
import { Effect } from "effect";
import { expect } from "expect";
import sharp from "sharp";
import { DemoError, type DemoOptions, drawDataset, drawImage, truthFile } from "./images.ts";
import type { Micrograph } from "./micrograph.ts";
import { taxa } from "./specimens.ts";

const small: DemoOptions = { seed: 7, imagesPerClass: 4, side: 48 };

const inFolder = async (test: (folder: string) => Promise<void>): Promise<void> => {
  const root = await Deno.makeTempDir({ prefix: "subtaxa-demo-" });
  await test(join(root, "plates", "diatoms")).finally(() => Deno.remove(root, { recursive: true }));
};

const filesBelow = async (folder: string): Promise<Map<string, Uint8Array>> => {
  const files = new Map<string, Uint8Array>();
  for await (const entry of Deno.readDir(folder)) {
    for await (const file of Deno.readDir(join(folder, entry.name))) {
      files.set(`${entry.name}/${file.name}`, await Deno.readFile(join(folder, entry.name, file.name)));
    }
  }
  return files;
};

Deno.test("the same seed draws the same bytes, another seed others", () =>
  inFolder(async (folder) => {
    const draw = async (options: DemoOptions) => {
      await Effect.runPromise(drawDataset(folder, options));
      return await filesBelow(folder);
    };
    const first = await draw(small);
    expect(await draw(small)).toEqual(first);

    const other = await draw({ ...small, seed: 8 });
    expect([...other.keys()].sort()).toEqual([...first.keys()].sort());
    for (const [path, bytes] of other) expect(bytes).not.toEqual(first.get(path));

    const more = await draw({ ...small, imagesPerClass: 6 });
    for (const [path, bytes] of first) expect(more.get(path)).toEqual(bytes);
  }));

Deno.test("the dataset holds class folders of numbered images and nothing that names a view", () =>
  inFolder(async (folder) => {
    const dataset = await Effect.runPromise(drawDataset(folder, small));
    const files = await filesBelow(folder);
    expect(files.size).toBe(taxa.length * small.imagesPerClass);
    expect([...files.keys()].sort()).toEqual(dataset.images.map(({ path }) => path).sort());
    for (const [path, bytes] of files) {
      expect(path).toMatch(/^[a-z]+\/\d{4}\.png$/);
      const chunks = new TextDecoder("latin1").decode(bytes).match(/tEXt|iTXt|zTXt|eXIf|tIME/);
      expect(chunks).toBeNull();
    }
    // Only the dataset and the truth are left, side by side.
    const beside = (await Array.fromAsync(Deno.readDir(join(folder, "..")))).map(({ name }) => name);
    expect(beside.sort()).toEqual(["diatoms", "diatoms.truth.json"]);
    expect(JSON.parse(await Deno.readTextFile(truthFile(folder)))).toEqual(dataset);
  }));

Deno.test("images are grey, decode, and vary in size around the side that was asked for", () =>
  inFolder(async (folder) => {
    await Effect.runPromise(drawDataset(folder, { ...small, side: 36 }));
    const sizes: (readonly [number, number])[] = [];
    for (const [path, bytes] of await filesBelow(folder)) {
      const { format, space, channels, depth, width, height } = await sharp(bytes).metadata();
      expect({ path, format, space, channels, depth }).toEqual(
        { path, format: "png", space: "b-w", channels: 1, depth: "uchar" },
      );
      const { channels: [light] } = await sharp(bytes).stats();
      expect(light && light.max - light.min).toBeGreaterThan(60);
      sizes.push([width, height]);
    }
    expect(Math.min(...sizes.flat())).toBeGreaterThanOrEqual(30);
    expect(Math.max(...sizes.flat())).toBeLessThanOrEqual(48);
    expect(sizes.some(([width, height]) => width !== height)).toBe(true);
    expect(new Set(sizes.flat()).size).toBeGreaterThan(5);
  }));

/** Figures that don't depend on how a specimen is turned: darkness, contrast, and how elongated what is dark is. */
const statistics = ({ width, light }: Micrograph): number[] => {
  const sorted = light.toSorted();
  const quantile = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  const background = quantile(0.9);
  let [ink, sx, sy, sxx, sxy, syy] = [0, 0, 0, 0, 0, 0];
  light.forEach((value, i) => {
    const dark = Math.max(0, background - 0.08 - value);
    const [x, y] = [i % width, Math.floor(i / width)];
    ink += dark;
    sx += dark * x;
    sy += dark * y;
    sxx += dark * x * x;
    sxy += dark * x * y;
    syy += dark * y * y;
  });
  const [xx, xy, yy] = [
    sxx / ink - (sx / ink) ** 2,
    sxy / ink - sx * sy / ink ** 2,
    syy / ink - (sy / ink) ** 2,
  ];
  const anisotropy = Math.hypot(xx - yy, 2 * xy) / (xx + yy);
  return [ink / light.length, quantile(0.05), quantile(0.25), quantile(0.5), anisotropy];
};

const meanOf = (rows: readonly number[][]): number[] =>
  (rows[0] ?? []).map((_, i) => rows.reduce((sum, row) => sum + (row[i] ?? 0), 0) / rows.length);

/** Share of the odd rows whose nearest centroid, learnt on the even rows, is that of their own label. */
const nearestCentroidAccuracy = (rows: readonly number[][], labels: readonly string[]): number => {
  const middle = meanOf(rows);
  const spread = meanOf(rows.map((row) => row.map((value, i) => (value - (middle[i] ?? 0)) ** 2))).map(
    Math.sqrt,
  );
  const scaled = rows.map((row) => row.map((value, i) => (value - (middle[i] ?? 0)) / (spread[i] || 1)));
  const centroids = [...new Set(labels)].map((label) =>
    [label, meanOf(scaled.filter((_, i) => i % 2 === 0 && labels[i] === label))] as const
  );
  const distance = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0);
  const judged = scaled.flatMap((row, i) => {
    if (i % 2 === 0) return [];
    const nearest = centroids.toSorted((a, b) => distance(row, a[1]) - distance(row, b[1]))[0];
    return [nearest?.[0] === labels[i]];
  });
  return judged.filter(Boolean).length / judged.length;
};

Deno.test("every planted view occurs, and the views of a class differ in plain pixel statistics", () => {
  let classesWithViews = 0;
  taxa.forEach(({ name, views }, classIndex) => {
    const drawn = Array.from(
      { length: 80 },
      (_, index) => drawImage({ seed: 3, side: 48 }, classIndex, index),
    );
    const labels = drawn.map(({ view }) => view);
    const counts = views.map((view) => labels.filter((label) => label === view.name).length);
    expect({ name, rarest: Math.min(...counts) >= 16 }).toEqual({ name, rarest: true });
    if (views.length === 1) return;
    classesWithViews++;
    const accuracy = nearestCentroidAccuracy(drawn.map(({ image }) => statistics(image)), labels);
    const chance = Math.max(...counts) / labels.length;
    expect({ name, separable: accuracy > chance + 0.25, accuracy }).toEqual({
      name,
      separable: true,
      accuracy,
    });
  });
  expect(classesWithViews).toBeGreaterThanOrEqual(3);
});

Deno.test("a folder that the demo didn't draw is refused and left alone", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "mine.txt"), "keep");
    const error = await Effect.runPromise(Effect.flip(drawDataset(folder, small)));
    expect(error).toBeInstanceOf(DemoError);
    expect(error.reason._tag).toBe("FolderTaken");
    expect(error.message).toContain(folder);
    expect(await Deno.readTextFile(join(folder, "mine.txt"))).toBe("keep");
  }));

Deno.test("a place that can't be written to is named, and nothing is left behind", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(join(folder, ".."), { recursive: true });
    await Deno.writeTextFile(folder, "a file, not a folder");
    const error = await Effect.runPromise(Effect.flip(drawDataset(join(folder, "below"), small)));
    expect(error.reason._tag).toBe("WriteFailed");
    expect(error.message).toContain(folder);
    const left = (await Array.fromAsync(Deno.readDir(join(folder, "..")))).map(({ name }) => name);
    expect(left).toEqual(["diatoms"]);
  }));
