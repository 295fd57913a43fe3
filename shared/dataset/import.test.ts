import { Manifest } from "@subtaxa/contracts";
import { Effect, Exit, Fiber } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import sharp from "sharp";
import { decompress } from "./compression.ts";
import { importFolder } from "./mod.ts";
import { recordHeaderBytes } from "./shard.ts";
import { bmp, tiff, withFolder } from "./testing.ts";
import { startWorkers } from "./workers.ts";
import { classes, dataset, failureOf, imageOf, noise, reasons, run, warnings } from "./testing_import.ts";

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
