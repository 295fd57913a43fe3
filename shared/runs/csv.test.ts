import { expect } from "expect";
import type { Labels, Predictions } from "@subtaxa/contracts";
import { datasetAtRest } from "@subtaxa/dataset/testing";
import { labelsCsv, predictionsCsv, rejectedCsv } from "./mod.ts";

const manifest = (classes: string[], paths: string[]) =>
  datasetAtRest({ name: "made-up", classes, images: paths.map((path) => ({ path, class: 0, side: 1 })) })
    .manifest;
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
const readByPython = async <Row = string[]>(table: string, reader = "reader"): Promise<Row[]> => {
  const program = `import csv, io, json, sys
text = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="")
print(json.dumps(list(csv.${reader}(text))))`;
  const child = new Deno.Command("python3", {
    args: ["-c", program],
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
  const columns = hostile.classes.map((name) => `probability:${name}`);
  expect(rows[0]).toEqual(["image", "fold", "true", "predicted", ...columns]);
  expect(rows[1]?.slice(0, 4)).toEqual(["κ/3.png", "1", "κωπήποδα", "κωπήποδα"]);
  expect(rows[2]?.slice(0, 4)).toEqual(['a/"2",.png', "1", 'big, "round"', "line\nbreak"]);
  const numbers = rows.slice(1).flatMap((row) => row.slice(4).map(Number));
  expect(Float32Array.from(numbers)).toEqual(predictions.probability);
});

/** Those of the field report `names`, and some that could be taken for other columns. */
const names = [
  ...['=HYPERLINK("x","y")', "-1+1", "@sum", "image", "true", 'a,b "q"', "line\nbreak", "+1", "\ttab"],
  ...["<img src=x onerror=alert(1)>", "__proto__", "10", "2", "Chaetoceros", "chaetoceros", "constructor"],
  ...["Ångström".normalize("NFC"), "Ångström".normalize("NFD"), "probability:image", "fold", "\rreturn"],
];
const ofNames: Predictions = {
  image: Uint32Array.from(names, (_, i) => i),
  true: Uint16Array.from(names, (_, i) => i),
  predicted: Uint16Array.from(names, (_, i) => (i + 1) % names.length),
  probability: Float32Array.from({ length: names.length ** 2 }, (_, i) => (i + 1) / 7),
  classes: names.length,
};
const named = manifest(names, names.map((name) => `${name}/1.png`));

Deno.test("whatever classes are called, a column of theirs is no other column", async () => {
  const table = await text(predictionsCsv([{ fold: 3, predictions: ofNames }], named));
  const rows = await readByPython<Record<string, string>>(table, "DictReader");
  expect(rows.length).toBe(names.length);
  for (const [i, row] of rows.entries()) {
    expect(Object.keys(row).length).toBe(4 + names.length);
    expect(row["image"]).toBe(`${names[i]}/1.png`);
    expect([row["fold"], row["true"], row["predicted"]]).toEqual([
      "3",
      names[i],
      names[(i + 1) % names.length],
    ]);
    expect(names.map((name) => Math.fround(Number(row[`probability:${name}`])))).toEqual(
      Array.from(ofNames.probability.subarray(i * names.length, (i + 1) * names.length)),
    );
  }
});

Deno.test("for a spreadsheet, no text begins like a formula, and figures stay figures", async () => {
  const negative = { ...ofNames, probability: ofNames.probability.map((value) => -value) };
  const tables = [
    ...[predictionsCsv([{ fold: 0, predictions: negative }], named, { spreadsheet: true })],
    ...[
      labelsCsv([{ fold: 0, epoch: 1, labels }], manifest(["@a", "=b"], ["=b/1", "-c/2"]), {
        spreadsheet: true,
      }),
    ],
    rejectedCsv(names.map((file) => ({ file, reason: `+${file}: why` })), { spreadsheet: true }),
  ];
  for (const table of tables) {
    const written = await text(table);
    expect(written.startsWith("\uFEFF")).toBe(true);
    const cells = (await readByPython(written.slice(1))).flat();
    const formulas = cells.filter((cell) => /^[=+\-@\t\r]/.test(cell));
    expect(formulas.filter((cell) => !/^-[\d.]+$/.test(cell))).toEqual([]);
  }
  const [, first] = await readByPython(
    (await text(predictionsCsv([{ fold: 0, predictions: negative }], named, { spreadsheet: true }))).slice(1),
  );
  expect(first!.slice(0, 3)).toEqual([`'${names[0]}/1.png`, "0", `'${names[0]}`]);
  expect(Math.fround(Number(first![4]))).toBe(negative.probability[0]);
});

Deno.test("rejected files with reason and group, as they are", async () => {
  const rejected = [
    { file: "=a/1.png", reason: "truncated: 3 bytes, 7 are missing" },
    { file: 'b/"2"\n.png', reason: "is empty" },
  ];
  expect(await readByPython(await text(rejectedCsv(rejected)))).toEqual([
    ["file", "reason", "group"],
    ["=a/1.png", "truncated: 3 bytes, 7 are missing", "truncated"],
    ['b/"2"\n.png', "is empty", "is empty"],
  ]);
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
  expect(pieces.join("")).toBe(
    "image,fold,true,predicted,probability:a,probability:b\n" + "a/1.png,0,a,a,0,0\n".repeat(count),
  );
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
