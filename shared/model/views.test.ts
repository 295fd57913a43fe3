import { ArtifactError, encodeFeatures, viewChunks, type ViewFeatures, type Views } from "@subtaxa/contracts";
import type { Images } from "@subtaxa/dataset";
import { random } from "@subtaxa/random";
import { tf } from "@subtaxa/tensorflow";
import { expect } from "expect";
import { join } from "node:path";
import { readFrozen } from "./frozen.ts";
import {
  backboneFeatures,
  type BatchProgress,
  type Checkpoint,
  classify,
  embed,
  type FrozenFeatures,
  logSizes,
  networkInput,
  newCheckpoint,
  preprocessings,
  sizeScalingOf,
  viewFeatures,
} from "./mod.ts";
import { madeUpWeights } from "./testing.ts";

const side = 16;
const count = 5;
const quiet = { cancelled: () => false, progress: () => {} };
const images: Images = {
  ...{ side, count, channels: 3 },
  pixels: Uint8Array.from({ length: count * side * side * 3 }, (_, i) => (i * i * 31 + (i >> 6)) % 251),
};

type Pixel = number[];
type Square = Pixel[][];
const turned = (rows: Square): Square => rows[0]!.map((_, x) => rows.map((row) => row[x]!).reverse());
const mirrored = (rows: Square): Square => rows.map((row) => row.toReversed());

/** The same images, each in one view, made by turning and mirroring nested arrays. */
const viewed = (change: (rows: Square) => Square): Images => {
  const pixels = new Uint8Array(images.pixels.length);
  for (let image = 0; image < count; image++) {
    const at = (y: number, x: number) => 3 * ((image * side + y) * side + x);
    const rows = Array.from(
      { length: side },
      (_, y) => Array.from({ length: side }, (_, x) => [...images.pixels.subarray(at(y, x), at(y, x) + 3)]),
    );
    pixels.set(change(rows).flat(2), at(0, 0));
  }
  return { ...images, pixels };
};

const turns = [0, 1, 2, 3].map((times) => (rows: Square): Square => {
  for (let n = 0; n < times; n++) rows = turned(rows);
  return rows;
});
const naive: Record<Views, ((rows: Square) => Square)[]> = {
  1: [turns[0]!],
  2: [turns[0]!, mirrored],
  4: turns,
  8: [...turns, ...turns.map((turn) => (rows: Square) => turn(mirrored(rows)))],
};

/** The mean of several tables. */
const meanOf = (tables: readonly Float32Array[]) =>
  tables[0]!.map((_, i) => tables.reduce((sum, table) => sum + table[i]!, 0) / tables.length);

const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(tolerance * scale);
  }
};

const onDisk = async <A>(
  chunks: Uint8Array | ViewFeatures,
  use: (file: string) => A,
): Promise<A> => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "table");
    const bytes = chunks instanceof Uint8Array ? [chunks] : await Array.fromAsync(viewChunks(chunks));
    await Deno.writeFile(file, Uint8Array.from(bytes.flatMap((chunk) => [...chunk])));
    return use(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const image = Uint32Array.from({ length: count }, (_, i) => i);

for (const views of [2, 4, 8] as const) {
  Deno.test(`${views} views: a frozen backbone's features, read back, are the mean over turned and mirrored images`, async () => {
    const pretrained = madeUpWeights("small", "keras");
    const before = tf.memory().numTensors;
    const values = viewFeatures({ pretrained, images }, views, quiet);
    expect(tf.memory().numTensors).toBe(before);
    const table = { image, values, views, dimension: 64 };
    const frozen = await onDisk(table, (file) => readFrozen(file, { backbone: "small", views }, count, true));
    const each = naive[views].map((change) =>
      backboneFeatures({ pretrained, images: viewed(change) }, quiet)
    );
    expectClose(frozen.values, meanOf(each), 1e-3); // half precision
    expect(frozen.each!.values).toEqual(values);
    const { each: _, ...means } = frozen;
    expect(await onDisk(table, (file) => readFrozen(file, { backbone: "small", views }, count, false)))
      .toEqual(means);

    // in training a random view stands for each image: each of them, and nothing else, and not one for a whole batch
    const model = { preprocessing: preprocessings.symmetric, sizeScaling: null };
    const draw = random(3);
    const seen = new Map<number, number>();
    const draws = 200 * views;
    const all = networkInput({ inputs: frozen }, Array(draws).fill(3), model, { views: draw }).x;
    const rows = all.arraySync() as number[][];
    all.dispose();
    const known = each.map((
      _,
      view,
    ) => [...values.subarray((3 * views + view) * 64, (3 * views + view + 1) * 64)]);
    for (const row of rows) {
      const view = known.findIndex((one) => one.every((value, i) => value === row[i]));
      expect(view).toBeGreaterThanOrEqual(0);
      seen.set(view, (seen.get(view) ?? 0) + 1);
    }
    expect([...seen.keys()].toSorted()).toEqual(known.map((_, view) => view));
    for (const times of seen.values()) expect(Math.abs(times - 200)).toBeLessThan(70); // five standard deviations
  });
}

Deno.test("test-time averaging: embeddings and probabilities of a trained network are those of the mean over views", () => {
  const pretrained = madeUpWeights("small", "keras");
  const sizes = logSizes({
    images: Array.from({ length: count }, (_, i) => ({ width: 10 + i, height: 20 + i * i })) as Parameters<
      typeof logSizes
    >[0]["images"],
    pixelSize: null,
  });
  const sizeScaling = sizeScalingOf(sizes, image);
  const model = {
    backbone: "small",
    imageSize: side,
    classes: ["a", "b"],
    seed: 4,
    fold: 0,
    pretrained,
  } as const;
  for (const scaling of [null, sizeScaling]) {
    const one = newCheckpoint({ ...model, sizeScaling: scaling });
    expect(one.parameters.get("embedding/kernel")!.shape).toEqual([scaling ? 67 : 64, 256]);
    const of = (checkpoint: Checkpoint, inputs: Images) =>
      embed({ checkpoint, inputs, sizes, indices: [4, 0, 2], batchSize: 2 }, quiet);
    const before = tf.memory().numTensors;
    for (const views of [1, 2, 4, 8] as const) {
      const each = naive[views].map((change) => of(one, viewed(change)));
      expectClose(of({ ...one, views }, images), meanOf(each), 1e-5);
    }
    expect(tf.memory().numTensors).toBe(before);
  }
  const eight = newCheckpoint({ ...model, views: 8 });
  const inference = { checkpoint: eight, inputs: images, indices: [0, 1, 2, 3, 4], batchSize: 2 };
  const seen: BatchProgress[] = [];
  classify(inference, { ...quiet, progress: (value) => void seen.push(value) });
  // an image counts once all its views are done
  expect(seen.map(({ done, total }) => [done, total])).toEqual([[1, 3], [2, 3], [3, 3]]);
  let asked = 0;
  expect(() => classify(inference, { ...quiet, cancelled: () => ++asked > 4 })).toThrow(/cancelled/);
  expect(asked).toBe(5); // within a batch, after a view
});

Deno.test("features that do not fit the run's images are a typed error that says what is wrong", async () => {
  const views = 2;
  const spec = { backbone: "small", views } as const;
  const values = Float16Array.from({ length: count * views * 64 }, (_, i) => i % 7);
  const table: ViewFeatures = { image, values, views, dimension: 64 };
  const fails = async (
    wrong: ViewFeatures | Uint8Array,
    run: Parameters<typeof readFrozen>[1],
    message: RegExp,
  ) => {
    const failure: unknown = await onDisk(wrong, (file) => readFrozen(file, run, count, true)).catch((
      error,
    ) => error);
    expect(failure).toBeInstanceOf(ArtifactError);
    expect((failure as Error).message).toMatch(message);
  };
  const short = values.subarray(0, (count - 1) * views * 64);
  await fails(
    { ...table, image: image.subarray(0, count - 1), values: short },
    spec,
    /4 rows for 5 images/,
  );
  await fails({ ...table, image: Uint32Array.of(0, 1, 3, 2, 4) }, spec, /row 2 belongs to image 3, not 2/);
  await fails({ ...table, views: 4, dimension: 32 }, spec, /4 views of each image, not 2/);
  await fails({ ...table, views: 1, dimension: 128 }, spec, /1 views of each image, not 2/);
  await fails(table, { ...spec, backbone: "resnet50" }, /64 values, not the 2048 of resnet50/);
  await fails(
    { ...table, values: values.map((value, i) => i === 2 * 128 + 70 ? NaN : value) },
    spec,
    /image 2 has a value that is not finite/,
  );
  await fails(table, { ...spec, views: 1 }, /not a features table/);
  const single = { image, values: new Float32Array(count * 64), dimension: 64 };
  await fails(encodeFeatures(single), spec, /not a views table/);
  await fails(
    encodeFeatures({ ...single, image: image.toReversed() }),
    { ...spec, views: 1 },
    /row 0 belongs to image 4/,
  );
  const whole: FrozenFeatures = await onDisk(
    encodeFeatures(single),
    (file) => readFrozen(file, { ...spec, views: 1 }, count, true),
  );
  expect(whole).toEqual(single);
});
