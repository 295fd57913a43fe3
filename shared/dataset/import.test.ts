import { Manifest } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { Effect, Exit, Fiber } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import sharp from "sharp";
import { decompress } from "./compression.ts";
import { DatasetError, importFolder, type ImportOptions } from "./mod.ts";
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

/** Reasons by file. */
const reasons = (manifest: Manifest) =>
  Object.fromEntries(manifest.rejected.map(({ file, reason }) => [file, reason]));

Deno.test(
  "every format comes in with its pixels, from nested folders and under odd names",
  withFolder(async (folder) => {
    const rgb = Uint8Array.from({ length: 3 * 6 * 4 }, (_, i) => (i * 37) % 256);
    const grey16 = Uint16Array.from({ length: 6 * 4 }, (_, i) => i * 170);
    const from = () => sharp(rgb, { raw: { width: 6, height: 4, channels: 3 } });
    const options = await dataset(folder, {
      ...classes(["Ångström 藻/ß"]),
      "mixed/a.png": from().png().toBuffer(),
      "mixed/b.JPG": from().jpeg().toBuffer(),
      "mixed/deep/er/c.webp": from().webp({ lossless: true }).toBuffer(),
      "mixed/d.tiff": tiff(6, 4, grey16),
      "mixed/e e%20#?.bmp": bmp(6, 4, rgb),
      "mixed/f.Tif": tiff(6, 4, rgb),
      "mixed/🦠 naïve.jpeg": from().negate().jpeg().toBuffer(),
      "mixed/wrong extension.jpg": from().negate().png().toBuffer(),
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
    expect(paths.length).toBe(13);

    const shard = decompress(await Deno.readFile(shardFiles[0]!));
    const pixelsOf = (path: string) => {
      const { side, channels, offset } = manifest.images.find((image) => image.path === path)!;
      expect(side).toBe(6);
      return { channels, pixels: [...shard.subarray(offset, offset + side * side * channels)] };
    };
    // 4 rows in the middle of 6, whatever the border's median makes the others.
    for (const path of ["mixed/a.png", "mixed/deep/er/c.webp", "mixed/e e%20#?.bmp", "mixed/f.Tif"]) {
      const { channels, pixels } = pixelsOf(path);
      expect(channels).toBe(3);
      expect(pixels.slice(18, 90)).toEqual([...rgb]);
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
    expect(manifest.images.map((image) => image.class)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect(reasons(manifest)).toEqual({
      "a/Thumbs.db": "is no image by its name (PNG, JPEG, WebP, TIFF, BMP are read)",
      "a/cut.jpg": "truncated JPEG: it has no end-of-image marker",
      "a/cut.png": expect.stringMatching(/^truncated, damaged or unsupported PNG: /),
      "a/empty.png": "is empty",
      "a/readme.txt": "is no image by its name (PNG, JPEG, WebP, TIFF, BMP are read)",
      "a/text.png": "the content is no PNG, JPEG, WebP, TIFF or BMP image",
      "a/z again.png": "exact duplicate of another image: a/3.png is kept",
      "b/z another label.png":
        "exact duplicate of an image of another class, check which label is right: a/4.png is kept",
      "nothing/": "class left out: 0 usable images, at least 5 are needed",
      "stray.png": "lies in no class folder",
      "tiny/": "class left out: 2 usable images, at least 5 are needed",
      "tiny/2.png": "is empty",
    });
  }),
);

Deno.test(
  "symbolic links are followed to files of the folder only, and nothing but files is read",
  withFolder(async (folder) => {
    const options = await dataset(folder, { ...classes(["a", "b"]), "b/target.png": noise(77) });
    await Deno.writeFile(join(folder, "secret.png"), await noise(78));
    await Deno.mkdir(join(folder, "data-outside"));
    const link = (target: string, name: string) => Deno.symlink(target, join(options.path, name));
    await link(join(folder, "secret.png"), "a/out.png");
    await link("../../secret.png", "a/relative.png");
    await link(join(folder, "data-outside"), "outside");
    await link("nowhere.png", "a/broken.png");
    await link("../b", "a/folder");
    await link("../b/target.png", "a/inside.png");
    await new Deno.Command("mkfifo", { args: [join(options.path, "a/pipe.png")] }).output();
    const { manifest } = await run(options);
    const out = "symbolic link that leads out of the dataset's folder";
    expect(reasons(manifest)).toEqual({
      "a/broken.png": expect.stringMatching(/^symbolic link that can't be followed: /),
      "a/folder": "symbolic link to a folder: not followed",
      "a/out.png": out,
      "a/pipe.png": "is no regular file",
      "a/relative.png": out,
      "b/target.png": expect.stringMatching(/^exact duplicate of .*: a\/inside.png is kept$/),
      outside: out,
    });
    expect(manifest.images.map((image) => image.path)).toContain("a/inside.png");
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
      expect(offset).toBe(at);
      return at + side * side * channels;
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
    // One file was rejected for its name beforehand; a/x.png comes sixth.
    expect(seen).toEqual(Array.from({ length: 11 }, (_, i) => `${i + 1}/11 ${i < 5 ? 1 : 2}`));
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
    return yield* Effect.flip(ask({ root: "/", candidates: unreadable, maxSide: 8 }));
  })));
  expect(error).toMatchObject({
    _tag: "DatasetError",
    reason: { _tag: "WorkerCrashed" },
    retryable: true,
    message: expect.stringContaining("not iterable"),
  });
});
