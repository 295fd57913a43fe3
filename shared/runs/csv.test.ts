import { expect } from "expect";
import type { Labels, Manifest, Predictions } from "@subtaxa/contracts";
import { labelsCsv, predictionsCsv } from "./mod.ts";

const manifest = (classes: string[], paths: string[]): Manifest => ({
  v: 1,
  name: "made-up",
  classes,
  images: paths.map((path) => ({ path, class: 0, side: 1, channels: 1, shard: 0, offset: 0 })),
  shards: [],
  rejected: [],
});
const hostile = manifest(['big, "round"', "line\nbreak", "κωπήποδα"], ["a/1.png", 'a/"2",.png', "κ/3.png"]);
const predictions: Predictions = {
  image: Uint32Array.of(2, 1),
  true: Uint16Array.of(2, 0),
  predicted: Uint16Array.of(2, 1),
  probability: Float32Array.of(0.1, 0.2, 0.7, 1 / 3, 2 / 3, 1e-12),
  classes: 3,
};
const labels: Labels = {
  image: Uint32Array.of(0, 1),
  class: Uint16Array.of(0, 1),
  cluster: Uint16Array.of(2, 0),
  distance: Float32Array.of(0.1, 0),
  subclasses: [{ class: 0, id: 2, from: 0 }, { class: 1, id: 0, from: 0 }],
  highestIds: [2, 0],
};
const text = async (pieces: AsyncIterable<string>) => (await Array.fromAsync(pieces)).join("");

/** Reads a table by Python's csv module: the other end of the contract. */
const readByPython = async (table: string): Promise<string[][]> => {
  const child = new Deno.Command("python3", {
    args: ["-c", "import csv, json, sys; print(json.dumps(list(csv.reader(sys.stdin))))"],
    env: { PYTHONIOENCODING: "utf-8" },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(table));
  await writer.close();
  return JSON.parse(new TextDecoder().decode((await child.output()).stdout));
};

Deno.test("predictions come back by another reader, to the last bit", async () => {
  const rows = await readByPython(await text(predictionsCsv([{ fold: 1, predictions }], hostile)));
  expect(rows[0]).toEqual(["image", "fold", "true", "predicted", ...hostile.classes]);
  expect(rows[1]?.slice(0, 4)).toEqual(["κ/3.png", "1", "κωπήποδα", "κωπήποδα"]);
  expect(rows[2]?.slice(0, 4)).toEqual(['a/"2",.png', "1", 'big, "round"', "line\nbreak"]);
  const numbers = rows.slice(1).flatMap((row) => row.slice(4).map(Number));
  expect(Float32Array.from(numbers)).toEqual(predictions.probability);
});

Deno.test("labels of every table, in order; tables may come one by one", async () => {
  const tables = async function* () {
    yield { fold: 0, epoch: 2, labels };
    yield await Promise.resolve({ fold: 1, epoch: 3, labels });
  };
  const simple = manifest(["copepod", "diatom"], ["copepod/1.png", "diatom/2.png"]);
  expect(await text(labelsCsv(tables(), simple))).toBe([
    "image,fold,epoch,class,subclass,label,distance",
    "copepod/1.png,0,2,copepod,2,copepod/2,0.100000001",
    "diatom/2.png,0,2,diatom,0,diatom/0,0",
    "copepod/1.png,1,3,copepod,2,copepod/2,0.100000001",
    "diatom/2.png,1,3,diatom,0,diatom/0,0",
    "",
  ].join("\n"));
});

Deno.test("a long table comes in pieces and is whole", async () => {
  const count = 1001;
  const long: Predictions = {
    image: new Uint32Array(count),
    true: new Uint16Array(count),
    predicted: new Uint16Array(count),
    probability: new Float32Array(2 * count),
    classes: 2,
  };
  const pieces = await Array.fromAsync(
    predictionsCsv([{ fold: 0, predictions: long }], manifest(["a", "b"], ["a/1.png"])),
  );
  expect(pieces.length).toBeGreaterThan(3);
  expect(pieces.join("")).toBe("image,fold,true,predicted,a,b\n" + "a/1.png,0,a,a,0,0\n".repeat(count));
});

Deno.test("a table of another dataset is refused", async () => {
  const small = manifest(["a", "b", "c"], ["a/1.png"]);
  await expect(text(predictionsCsv([{ fold: 0, predictions }], small))).rejects.toThrow(
    /image 2: dataset 'made-up' has only 1/,
  );
  await expect(text(predictionsCsv([{ fold: 0, predictions }], manifest(["a", "b"], [])))).rejects.toThrow(
    /3 classes/,
  );
  await expect(text(labelsCsv([{ fold: 0, epoch: 1, labels }], manifest(["a"], ["1", "2"])))).rejects.toThrow(
    /no class 1/,
  );
});
