import type { Manifest } from "@subtaxa/contracts";
import { expect } from "expect";
import { join } from "node:path";
import sharp from "sharp";
import { tiff, withFolder } from "./testing.ts";
import { classes, dataset, failureOf, imageOf, noise, reasons, run, warnings } from "./testing_import.ts";

Deno.test(
  "an import that finds too few classes keeps the reasons, and the commonest is in its message",
  withFolder(async (folder) => {
    const floats = tiff(3, 2, Float32Array.of(1, 2, 3, 4, 5, 6));
    const options = await dataset(
      folder,
      Object.fromEntries(["a", "b"].flatMap((name) => [0, 1, 2].map((i) => [`${name}/${i}.tif`, floats]))),
    );
    await Deno.writeTextFile(join(options.path, "a/notes.txt"), "notes");
    const error = await failureOf(options);
    const float =
      "its samples are 32-bit floating point: save it as grey or RGB with 8 or 16 unsigned bits per sample";
    expect(error.message).toMatch(
      /no class with .*; 6 files can't be used because of this: its samples are 32-bit/,
    );
    expect(reasons(error.report!)).toMatchObject({
      "a/0.tif": float,
      "a/notes.txt": expect.stringMatching(/^the content is no/),
      "b/2.tif": float,
      "b/": "class left out: 0 usable images, at least 5 are needed",
    });
  }),
);

Deno.test(
  "parts of a split and an archive's outer folder are recognised",
  withFolder(async (folder) => {
    const split = await dataset(
      join(folder, "split"),
      classes(["train/copepod", "Val/diatom", "test/copepod"]),
    );
    expect(warnings((await run(split)).manifest)["split-folders"]).toMatch(
      /^each is taken for a class: the folders Val, test, train look like the parts of a split/,
    );
    const years = await dataset(join(folder, "years"), classes(["2013/copepod", "2014/copepod"]));
    expect(warnings((await run(years)).manifest)["repeated-folders"]).toMatch(
      /^folders of the same names lie in several classes \(copepod\): if these are the classes, and 2013, 2014 are years/,
    );
    const outer = await dataset(join(folder, "outer"), classes(["set/training_set/a", "set/test_set/a"]));
    expect((await failureOf(outer)).message).toContain(
      "the folders test_set, training_set in set look like the parts of a split",
    );
    const wrapped = await dataset(join(folder, "wrapped"), classes(["plankton/copepod", "plankton/diatom"]));
    const { message } = await failureOf(wrapped);
    expect(message).toContain(
      `all its files lie in plankton, which holds the folders copepod, diatom: import ${wrapped.path}/plankton if`,
    );
    const twice = await dataset(join(folder, "twice"), {
      ...classes(["outer/inner/copepod", "outer/inner/diatom"]),
      "outer/inner/notes.txt": "notes",
    });
    expect((await failureOf(twice)).message).toContain(`import ${twice.path}/outer/inner if`);
  }),
);

Deno.test(
  "classes whose names differ by case or by the form of their accents are warned of",
  withFolder(async (folder) => {
    const names = ["Chaetoceros", "chaetoceros", "\u00c5", "A\u030a", "other"];
    const { manifest } = await run(await dataset(folder, classes(names)));
    expect(manifest.warnings.filter(({ kind }) => kind === "names-differ-by-case").length).toBe(2);
    expect(manifest.classes.length).toBe(5);
  }),
);

Deno.test(
  "a folder whose name is no UTF-8 says so",
  withFolder(async (folder) => {
    const options = await dataset(folder, classes(["a", "b"]));
    const python = "import os, sys; os.mkdir(os.fsencode(sys.argv[1]) + b'/d\\xe9licat')";
    const { success } = await new Deno.Command("python3", { args: ["-c", python, options.path] }).output();
    expect(success).toBe(true);
    const { manifest } = await run(options);
    const reason = "can't be read: its name is no valid UTF-8, rename it";
    expect(manifest.rejected).toEqual([{ file: "d\ufffdlicat/", reason }]);
  }),
);

Deno.test(
  "pictures in several classes are kept, left out or asked about, and always listed with all their labels",
  withFolder(async (folder) => {
    const again = async (seed: number) =>
      await sharp(await noise(seed)).toColourspace("b-w").tiff({ compression: "lzw" }).toBuffer();
    const options = await dataset(folder, {
      ...classes(["a", "b", "c"], 7),
      "b/x.tif": again(0),
      "c/y.tif": again(0),
      "c/z.tif": again(1006),
    });
    const conflicts = [["a/0.png", "b/x.tif", "c/y.tif"], ["b/6.png", "c/z.tif"]];
    const listed = (manifest: Pick<Manifest, "labelConflicts">) =>
      manifest.labelConflicts.map(({ files }) => files.map(({ path }) => path));
    const kept = (await run({ ...options, onLabelConflict: "keep" })).manifest;
    expect(kept.images.length).toBe(24);
    expect(kept.rejected).toEqual([]);
    expect(listed(kept)).toEqual(conflicts);
    expect(imageOf(kept, "a/0.png").pixelHash).toBe(imageOf(kept, "c/y.tif").pixelHash);
    expect(imageOf(kept, "a/0.png").fileHash).not.toBe(imageOf(kept, "c/y.tif").fileHash);

    const dropped = (await run({ ...options, onLabelConflict: "drop" })).manifest;
    expect(dropped.images.length).toBe(19);
    expect(reasons(dropped)).toEqual({
      "a/0.png": "the same picture lies in another class: b/x.tif, c/y.tif",
      "b/6.png": "the same picture lies in another class: c/z.tif",
      "b/x.tif": "the same picture lies in another class: a/0.png, c/y.tif",
      "c/y.tif": "the same picture lies in another class: a/0.png, b/x.tif",
      "c/z.tif": "the same picture lies in another class: b/6.png",
    });
    expect(listed(dropped)).toEqual(conflicts);

    const asked = await failureOf({ ...options, onLabelConflict: "ask" });
    expect(asked.reason).toEqual({ _tag: "LabelConflicts", pictures: 2 });
    expect(asked.message).toMatch(
      /^2 pictures lie in several classes .*: correct their labels, or import with/,
    );
    expect(listed(asked.report!)).toEqual(conflicts);
  }),
);

Deno.test(
  "pictures that lie in a class which is left out are no conflict, and the reasons of duplicates stay true",
  withFolder(async (folder) => {
    const options = await dataset(folder, {
      ...classes(["a", "b"], 7),
      "a/x.png": noise(5000),
      "a/y.png": noise(5000),
      "b/x.png": noise(5000),
      "a/t.png": noise(6000),
      "few/t.png": noise(6000),
    });
    const { manifest } = await run({ ...options, onLabelConflict: "drop" });
    expect(manifest.labelConflicts.map(({ files }) => files.map(({ path }) => path))).toEqual([
      ["a/x.png", "b/x.png"],
    ]);
    expect(manifest.images.map(({ path }) => path)).toContain("a/t.png");
    expect(reasons(manifest)).toEqual({
      "a/x.png": "the same picture lies in another class: b/x.png",
      "a/y.png": "the same picture lies in another class: b/x.png",
      "b/x.png": "the same picture lies in another class: a/x.png",
      "few/": "class left out: 1 usable images, at least 5 are needed",
    });
  }),
);

Deno.test(
  "a folder without class folders says what lies in it",
  withFolder(async (folder) => {
    const error = await failureOf(await dataset(folder, { "a.png": noise(1), "b.png": noise(2) }));
    expect(error.reason._tag).toBe("NoClassFolders");
    expect(reasons(error.report!)).toEqual({
      "a.png": "lies in no class folder",
      "b.png": "lies in no class folder",
    });
  }),
);
