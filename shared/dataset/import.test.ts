import { Manifest } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { Effect, Exit, Fiber } from "effect";
import { expect } from "expect";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import sharp from "sharp";
import { decompress } from "./compression.ts";
import { DatasetError, importFolder, type ImportOptions } from "./mod.ts";
import { recordHeaderBytes } from "./shard.ts";
import { bmp, tiff, withFolder } from "./testing.ts";
import { startWorkers } from "./workers.ts";

/** A grey PNG of noise, different for every seed. */
const noise = (seed: number, width = 12, height = 9): Promise<Uint8Array> => {
  const source = random(seed);
  const data = Uint8Array.from({ length: width * height }, () => source.integer(256));
  return sharp(data, { raw: { width, height, channels: 1 } }).toColourspace("b-w").png().toBuffer();
};

/** Writes files into `folder`/data and returns the options to import them. */
const dataset = async (
  folder: string,
  files: Record<string, Uint8Array | string | Promise<Uint8Array>>,
): Promise<ImportOptions> => {
  const path = join(folder, "data");
  const outputFolder = join(folder, "shards");
  await Deno.mkdir(outputFolder, { recursive: true });
  await Deno.mkdir(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const bytes = await content;
    await Deno.mkdir(join(path, name, ".."), { recursive: true });
    await Deno.writeFile(
      join(path, name),
      typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes,
    );
  }
  return { name: "test", path, maxSide: 256, minClassImages: 5, outputFolder };
};

/** `count` images of each class. */
const classes = (names: readonly string[], count = 5): Record<string, Promise<Uint8Array>> =>
  Object.fromEntries(
    names.flatMap((name, n) =>
      Array.from({ length: count }, (_, i) => [`${name}/${i}.png`, noise(1000 * n + i)] as const)
    ),
  );

const run = (options: ImportOptions) => Effect.runPromise(importFolder(options));

const failureOf = async (options: ImportOptions): Promise<DatasetError> => {
  const error = await Effect.runPromise(Effect.flip(importFolder(options)));
  expect(error).toBeInstanceOf(DatasetError);
  return error;
};

const imageOf = (manifest: Manifest, path: string) => manifest.images.find((image) => image.path === path)!;

const warnings = (manifest: Manifest): Record<string, string> =>
  Object.fromEntries(manifest.warnings.map(({ kind, message }) => [kind, message]));

/** Reasons by file. */
const reasons = (manifest: Pick<Manifest, "rejected">) =>
  Object.fromEntries(manifest.rejected.map(({ file, reason }) => [file, reason]));

Deno.test(
  "every format comes in with its pixels, from nested folders and under odd names",
  withFolder(async (folder) => {
    const rgb = (n: number) => Uint8Array.from({ length: 3 * 6 * 4 }, (_, i) => (i * 37 + n) % 256);
    const grey16 = Uint16Array.from({ length: 6 * 4 }, (_, i) => i * 170);
    const from = (n: number) => sharp(rgb(n), { raw: { width: 6, height: 4, channels: 3 } });
    const options = await dataset(folder, {
      ...classes(["Ångström 藻/ß"]),
      "mixed/a.png": from(0).png().toBuffer(),
      "mixed/b.JPG": from(1).jpeg().toBuffer(),
      "mixed/deep/er/c.webp": from(2).webp({ lossless: true }).toBuffer(),
      "mixed/d.tiff": tiff(6, 4, grey16),
      "mixed/e e%20#?.bmp": bmp(6, 4, rgb(3)),
      "mixed/f.Tif": tiff(6, 4, rgb(4)),
      "mixed/g.gif": from(5).gif().toBuffer(),
      "mixed/🦠 naïve.jfif": from(6).jpeg().toBuffer(),
      "mixed/no extension": from(7).png().toBuffer(),
      "mixed/wrong extension.jpg": from(8).png().toBuffer(),
      ".hidden/x.png": "not looked at",
      "mixed/.DS_Store": "not looked at",
    });
    const { manifest, shardFiles } = await run(options);
    expect(Manifest.parse(manifest)).toEqual(manifest);
    expect(manifest.classes).toEqual(["mixed", "Ångström 藻"]);
    expect(manifest.rejected).toEqual([]);
    const paths = manifest.images.map((image) => image.path);
    expect(paths).toEqual(paths.slice().sort());
    expect(paths).toContain("Ångström 藻/ß/0.png");
    expect(paths.length).toBe(15);
    expect(warnings(manifest)).toEqual({
      depth: expect.stringMatching(/^1 image with 16 bits per sample have values from 0 to 3910; 0 to 4095/),
      "hidden-files": expect.stringMatching(/: \.hidden$/),
      "mixed-depth": expect.stringMatching(/^1 of 15 images have 16 bits per sample, the others 8: /),
      "small-class": expect.stringMatching(/: Ångström 藻 \(5\)$/),
    });
    expect(manifest.depth).toEqual({ bits: 12, offset: 0 });

    const shard = decompress(await Deno.readFile(shardFiles[0]!));
    const pixelsOf = (path: string) => {
      const { width, height, side, channels, offset } = imageOf(manifest, path);
      expect([width, height, side]).toEqual([6, 4, 6]);
      return { channels, pixels: [...shard.subarray(offset, offset + side * side * channels)] };
    };
    // 4 rows in the middle of 6, whatever the border's median makes the others.
    const exact = {
      "mixed/a.png": 0,
      "mixed/deep/er/c.webp": 2,
      "mixed/e e%20#?.bmp": 3,
      "mixed/f.Tif": 4,
      "mixed/g.gif": 5,
      "mixed/no extension": 7,
      "mixed/wrong extension.jpg": 8,
    };
    for (const [path, n] of Object.entries(exact)) {
      const { channels, pixels } = pixelsOf(path);
      expect(channels).toBe(3);
      expect(pixels.slice(18, 90)).toEqual([...rgb(n)]);
    }
    const { channels, pixels } = pixelsOf("mixed/d.tiff");
    expect(channels).toBe(1);
    expect(pixels.slice(6, 30)).toEqual(Array.from(grey16, (value) => Math.round(value * 255 / 4095)));
  }),
);

Deno.test(
  "what can't be used is listed with a reason, and the rest comes in",
  withFolder(async (folder) => {
    const jpeg = await sharp(await noise(1)).jpeg().toBuffer();
    const png = await noise(2);
    const options = await dataset(folder, {
      ...classes(["a", "b"]),
      "a/cut.jpg": jpeg.subarray(0, jpeg.length * 0.7),
      "a/cut.png": png.subarray(0, png.length * 0.7),
      "a/empty.png": "",
      "a/text.png": "hello",
      "a/Thumbs.db": "windows",
      "a/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg": sharp(await noise(6)).jpeg().toBuffer(),
      "__MACOSX/a/0.png": noise(7),
      "a/readme.txt": "notes",
      "a/z again.png": noise(3),
      "b/z another label.png": noise(4),
      "stray.png": noise(5),
      "tiny/0.png": noise(901),
      "tiny/1.png": noise(902),
      "tiny/2.png": "",
    });
    await Deno.mkdir(join(options.path, "nothing"));
    const { manifest } = await run(options);
    expect(manifest.classes).toEqual(["a", "b"]);
    expect(manifest.images.map((image) => image.class)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    const notImage = "the content is no PNG, JPEG, WebP, TIFF, BMP, GIF or PNM image";
    const bySystem = "system file of a computer or network drive, not read: ";
    expect(reasons(manifest)).toEqual({
      "__MACOSX/a/0.png": `${bySystem}__MACOSX`,
      "a/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg": `${bySystem}@eaDir`,
      "a/Thumbs.db": `${bySystem}Thumbs.db`,
      "a/cut.jpg": "truncated JPEG: it has no end-of-image marker",
      "a/cut.png": expect.stringMatching(/^truncated, damaged or unsupported PNG: /),
      "a/empty.png": "is empty",
      "a/readme.txt": notImage,
      "a/text.png": notImage,
      "a/z again.png": "the same picture as another image of its class: a/3.png is kept",
      "nothing/": "class left out: 0 usable images, at least 5 are needed",
      "stray.png": "lies in no class folder",
      "tiny/": "class left out: 2 usable images, at least 5 are needed",
      "tiny/2.png": "is empty",
    });
    expect(warnings(manifest)["label-conflicts"]).toBe(
      "1 picture lies in several classes (a/4.png and b/z another label.png): each is kept in every one of them; " +
        "the policy 'drop' for label conflicts leaves them out",
    );
  }),
);

Deno.test(
  "symbolic links are followed to where the caller allows it, and nothing but files is read",
  withFolder(async (folder) => {
    const options = await dataset(folder, { ...classes(["a", "b"]), "b/target.png": noise(77) });
    const store = join(folder, "store");
    await Deno.mkdir(join(store, "c"), { recursive: true });
    for (let i = 0; i < 5; i++) await Deno.writeFile(join(store, `c/${i}.png`), await noise(80 + i));
    await Deno.writeFile(join(folder, "secret.png"), await noise(78));
    const link = (target: string, name: string) => Deno.symlink(target, join(options.path, name));
    await link(join(folder, "secret.png"), "a/out.png");
    await link("../../secret.png", "a/relative.png");
    await link(folder, "outside");
    await link("nowhere.png", "a/broken.png");
    await link("../../data", "a/round");
    await link("../b/target.png", "a/inside.png");
    await link(join(store, "c/0.png"), "a/stored.png");
    await link(join(store, "c"), "c");
    await new Deno.Command("mkfifo", { args: [join(options.path, "a/pipe.png")] }).output();
    const allowed = [options.path, store].map((path) => Deno.realPathSync(path));
    const isAllowed = (path: string) => allowed.some((root) => path === root || path.startsWith(`${root}/`));
    const { manifest } = await run({ ...options, isAllowed });
    const out = "symbolic link that leads out of the allowed folders";
    expect(reasons(manifest)).toEqual({
      "a/broken.png": expect.stringMatching(/^symbolic link that can't be followed: /),
      "a/out.png": out,
      "a/pipe.png": "is no regular file",
      "a/relative.png": out,
      "a/round": "symbolic link to a folder that it lies in: not followed",
      outside: out,
    });
    expect(manifest.classes).toEqual(["a", "b", "c"]);
    expect(manifest.images.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["a/inside.png", "b/target.png", "a/stored.png", "c/4.png"]),
    );
    expect(manifest.labelConflicts.map(({ files }) => files.map(({ path }) => path))).toEqual([
      ["a/inside.png", "b/target.png"],
      ["a/stored.png", "c/0.png"],
    ]);

    // Without a word from the caller, links lead to files of the folder alone.
    const { manifest: alone } = await run(options);
    expect(reasons(alone)).toMatchObject({ "a/stored.png": out, c: out });
  }),
);

Deno.test(
  "larger images are reduced, smaller ones keep their size, shards hold what the manifest says",
  withFolder(async (folder) => {
    const files = Object.fromEntries(
      [[40, 30], [300, 200], [200, 300], [257, 257], [256, 1]].flatMap(([width, height], i) =>
        ["a", "b"].map((name, n) => [`${name}/${i}.png`, noise(10 * n + i, width, height)] as const)
      ),
    );
    const options = await dataset(folder, files);
    const { manifest, shardFiles } = await run(options);
    expect(manifest.images.map((image) => image.side)).toEqual([
      40,
      256,
      256,
      256,
      256,
      40,
      256,
      256,
      256,
      256,
    ]);
    expect(shardFiles.length).toBe(manifest.shards.length);
    const bytes = await Deno.readFile(shardFiles[0]!);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(manifest.shards[0]).toEqual({ key: `sha256-${sha256}`, sha256, bytes: bytes.length });
    const end = manifest.images.reduce((at, { offset, side, channels }) => {
      expect(offset).toBe(at + recordHeaderBytes);
      return offset + side * side * channels;
    }, 0);
    expect(decompress(bytes).length).toBe(end);
  }),
);

Deno.test(
  "a dataset larger than a shard is divided, and the same folder gives the same manifest",
  withFolder(async (folder) => {
    const options = await dataset(folder, {});
    // 2 × 15 images of 3 MiB: more than the 24 MiB of one shard.
    const side = 1024;
    for (let i = 0; i < 30; i++) {
      const name = join(options.path, i < 15 ? "a" : "b", `${i}.png`);
      await Deno.mkdir(join(name, ".."), { recursive: true });
      const background = { r: i, g: 200, b: 200 };
      await sharp({ create: { width: side, height: side, channels: 3, background } }).png().toFile(name);
    }
    const first = await run({ ...options, maxSide: 1024 });
    expect(first.manifest.shards.length).toBe(2);
    for (const { shard, offset, path } of first.manifest.images) {
      const raw = decompress(await Deno.readFile(first.shardFiles[shard]!));
      expect(`${raw[offset]}.png`).toBe(path.slice(2));
    }
    expect((await run({ ...options, maxSide: 1024 })).manifest).toEqual(first.manifest);
  }),
);

Deno.test(
  "progress counts every image file once, in order",
  withFolder(async (folder) => {
    const options = await dataset(folder, { ...classes(["a", "b"]), "a/x.png": "", "a/y.txt": "" });
    const seen: string[] = [];
    await run({
      ...options,
      onProgress: ({ done, total, rejected }) => seen.push(`${done}/${total} ${rejected}`),
    });
    // a/x.png and a/y.txt come sixth and seventh.
    expect(seen).toEqual(
      Array.from({ length: 12 }, (_, i) => `${i + 1}/12 ${Math.min(Math.max(i - 4, 0), 2)}`),
    );
  }),
);

Deno.test(
  "a folder that is no dataset is a typed error that says what to do",
  withFolder(async (folder) => {
    const options = await dataset(folder, classes(["only"]));
    const few = await failureOf(options);
    expect(few.reason).toEqual({ _tag: "TooFewClasses", classes: ["only"] });
    expect(few.message).toMatch(/only "only" with at least 5 usable images/);
    expect(few.retryable).toBe(false);
    expect((await failureOf({ ...options, minClassImages: 6 })).reason).toEqual({
      _tag: "TooFewClasses",
      classes: [],
    });
    const missing = await failureOf({ ...options, path: join(folder, "nope") });
    expect(missing.reason._tag).toBe("Missing");
    expect(missing.message).toContain("nope");
    const file = join(options.path, "only", "0.png");
    expect((await failureOf({ ...options, path: file })).reason).toEqual({ _tag: "NotAFolder", path: file });
    const flat = join(options.path, "only");
    expect((await failureOf({ ...options, path: flat })).reason).toEqual({
      _tag: "NoClassFolders",
      path: flat,
    });
    const full = await failureOf({
      ...await dataset(folder, classes(["a", "b"])),
      outputFolder: "/dev/null",
    });
    expect(full.reason._tag).toBe("Storage");
    expect(full.retryable).toBe(true);
  }),
);

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

/** A grey 16-bit TIFF of 2 × 2 pixels. */
const deep = (...samples: number[]) => tiff(2, 2, Uint16Array.from(samples));

Deno.test(
  "all 16-bit images of a dataset have one depth, which can be given by hand",
  withFolder(async (folder) => {
    const options = await dataset(folder, {
      ...classes(["a", "b"]),
      "a/dark.tif": deep(0, 100, 200, 4095),
      "a/hot.tif": deep(0, 100, 200, 4096),
    });
    const pixels = async (more: Partial<ImportOptions>) => {
      const { manifest, shardFiles } = await run({ ...options, ...more });
      const shard = decompress(await Deno.readFile(shardFiles[0]!));
      const of = (path: string) => [...shard.subarray(imageOf(manifest, path).offset).subarray(0, 4)];
      return { manifest, dark: of("a/dark.tif"), hot: of("a/hot.tif") };
    };
    const found = await pixels({});
    expect(found.manifest.depth).toEqual({ bits: 14, offset: 0 });
    expect([found.dark, found.hot]).toEqual([[0, 2, 3, 64], [0, 2, 3, 64]]);
    const given = await pixels({ bitDepth: 12, offset: 100 });
    expect(given.manifest.depth).toEqual({ bits: 12, offset: 100 });
    expect([given.dark, given.hot]).toEqual([[0, 0, 6, 249], [0, 0, 6, 249]]);
    expect(warnings(given.manifest)).toMatchObject({
      depth: "100 to 4195 (12 bits) become 0 to 255 in all 16-bit images, as given",
      clipped: expect.stringMatching(
        /^25.0 % of the values of the 16-bit images lie outside of 100 to 4195 and are cut off, in 2 images: /,
      ),
    });
  }),
);

Deno.test(
  "one picture is recognised in 8 and 16 bits, as grey and as RGB; pictures that differ in the low bits are two",
  withFolder(async (folder) => {
    const samples = Uint8Array.of(0, 10, 20, 255);
    const rgb = Uint8Array.from({ length: 12 }, (_, i) => samples[Math.floor(i / 3)]!);
    const raw = { raw: { width: 2, height: 2, channels: 1 } } as const;
    const options = await dataset(folder, {
      ...classes(["a", "b"]),
      "a/p0.tif": tiff(2, 2, samples),
      "a/p1.tif": tiff(2, 2, rgb),
      "a/p2.tif": deep(...samples),
      "a/p3.tif": deep(...samples.map((sample) => sample)),
      "a/p4.tif": tiff(2, 2, Uint16Array.from(samples, (sample) => 257 * sample)),
      "a/p5.tif": tiff(2, 2, Uint16Array.from(rgb, (sample) => 257 * sample)),
      "a/p6.png": sharp(Uint8Array.from(samples, (sample) => sample), raw)
        .joinChannel(Buffer.of(255, 255, 255, 255), raw).png().toBuffer(),
      "a/q.tif": deep(0, 2570, 5140, 65534),
    });
    const { manifest } = await run(options);
    const same = (name: string) => [`a/${name}`, expect.stringMatching(/: a\/p0.tif is kept$/)] as const;
    expect(reasons(manifest)).toEqual(
      Object.fromEntries(["p1.tif", "p2.tif", "p3.tif", "p4.tif", "p5.tif", "p6.png"].map(same)),
    );
    expect(manifest.images.map(({ path }) => path)).toContain("a/q.tif");
  }),
);

Deno.test(
  "an offset of 32,768 is seen where all values have it, and warned of where most have it",
  withFolder(async (folder) => {
    const files = {
      ...classes(["a", "b"]),
      "a/0.tif": deep(32768, 33000, 34000, 36863),
      "a/1.tif": deep(32740, 33000, 34000, 36000),
    };
    const { manifest } = await run(await dataset(join(folder, "all"), files));
    expect(manifest.depth).toEqual({ bits: 12, offset: 32768 });
    expect(warnings(manifest)["offset"]).toMatch(/^the value 32768 is taken for black/);
    const most = await dataset(join(folder, "most"), {
      ...files,
      "a/2.tif": tiff(4, 4, Uint16Array.from({ length: 16 }, (_, i) => i === 0 ? 5 : 33000 + i)),
    });
    const other = (await run(most)).manifest;
    expect(other.depth).toEqual({ bits: 16, offset: 0 });
    expect(warnings(other)["offset"]).toMatch(
      /^2 of 3 images with 16 bits per sample have nearly all their values at 32768/,
    );
  }),
);

Deno.test(
  "a bright field is no offset, and classes with too few files don't count for the depth",
  withFolder(async (folder) => {
    const bright = Uint16Array.from({ length: 400 }, (_, i) => i < 2 ? 4470 : 59000 + i);
    const options = await dataset(join(folder, "bright"), {
      ...classes(["a", "b"]),
      "a/0.tif": tiff(20, 20, bright),
      "few/0.tif": deep(1, 2, 3, 65535),
    });
    expect(warnings((await run(options)).manifest)["offset"]).toBeUndefined();
    const dim = await dataset(join(folder, "dim"), {
      ...classes(["a", "b"]),
      "a/0.tif": deep(0, 1, 2, 1000),
      "few/0.tif": deep(1, 2, 3, 65535),
    });
    expect((await run(dim)).manifest.depth).toEqual({ bits: 10, offset: 0 });
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
  "folders that links lead to in many ways are read once in a class",
  withFolder(async (folder) => {
    const options = await dataset(folder, classes(["a", "b"]));
    const store = join(folder, "store");
    for (let i = 0; i < 8; i++) await Deno.mkdir(join(store, String(i)), { recursive: true });
    for (let i = 0; i < 8; i++) {
      await Deno.writeFile(join(store, String(i), "image.png"), await noise(7000 + i));
      for (let k = 0; k < 8; k++) {
        if (k !== i) await Deno.symlink(`../${k}`, join(store, String(i), `to${k}`));
      }
    }
    await Deno.symlink(join(store, "0"), join(options.path, "a/linked"));
    const { manifest } = await run({ ...options, isAllowed: () => true });
    expect(manifest.images.filter(({ path }) => path.startsWith("a/linked")).length).toBe(8);
    expect(manifest.rejected.every(({ reason }) => reason.startsWith("symbolic link to a folder that"))).toBe(
      true,
    );
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

Deno.test(
  "a 16-bit image counts twice in the progress, as it is read twice",
  withFolder(async (folder) => {
    const options = await dataset(folder, { ...classes(["a", "b"]), "a/x.tif": deep(0, 1, 2, 3000) });
    const seen: string[] = [];
    await run({ ...options, onProgress: ({ done, total }) => seen.push(`${done}/${total}`) });
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => `${i + 1}/12`));
  }),
);

Deno.test(
  "an interrupted import stops at once, and its folders can be removed and used again",
  withFolder(async (folder) => {
    const options = await dataset(folder, classes(["a", "b"], 150));
    let done = 0;
    const begun = Promise.withResolvers<void>();
    const fiber = Effect.runFork(importFolder({
      ...options,
      onProgress: (progress) => {
        done = progress.done;
        if (done === 20) begun.resolve();
      },
    }));
    await begun.promise;
    const exit = await Effect.runPromise(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)));
    expect(Exit.isFailure(exit)).toBe(true);
    const then = done;
    await Deno.remove(options.outputFolder, { recursive: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(done).toBe(then);
    expect(then).toBeLessThan(300);
    await Deno.mkdir(options.outputFolder);
    expect((await run(options)).manifest.images.length).toBe(300);
  }),
);

Deno.test("a crash of a reading thread is an error that may pass", async () => {
  const error = await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const ask = yield* startWorkers(1);
    const unreadable = null as never; // what the thread does not expect
    const request = { type: "read", root: "/", maxSide: 8, depth: { bits: 16, offset: 0 } } as const;
    return yield* Effect.flip(ask({ ...request, candidates: unreadable }));
  })));
  expect(error).toMatchObject({
    _tag: "DatasetError",
    reason: { _tag: "WorkerCrashed" },
    retryable: true,
    message: expect.stringContaining("not iterable"),
  });
});
