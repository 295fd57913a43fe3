import type { ManifestImage } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { Effect } from "effect";
import { expect } from "expect";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { compress, decompress } from "./compression.ts";
import { DatasetError, loadImages, type LoadOptions } from "./mod.ts";
import { resizeSquare } from "./resample.ts";
import { datasetAtRest, withFolder } from "./testing.ts";

type Raw = readonly [side: number, channels: 1 | 3];

/** A dataset at rest with images of noise, in two shards; and those images. */
const atRest = async (folder: string, shapes: readonly Raw[]) => {
  const source = random(9);
  const raw = shapes.map(([side, channels]) =>
    Uint8Array.from({ length: side * side * channels }, () => source.integer(256))
  );
  const { manifest, shards } = datasetAtRest({
    name: "noise",
    classes: ["a", "b"],
    images: shapes.map(([side, channels], i) => ({
      path: `a/${i}.png`,
      class: 0,
      side,
      channels,
      data: raw[i]!,
    })),
    perShard: Math.ceil(raw.length / 2),
  });
  const files = shards.map((bytes, i) => {
    const file = join(folder, `shard${i}`);
    Deno.writeFileSync(file, bytes);
    return file;
  });
  await Deno.mkdir(join(folder, "cache"));
  const options: LoadOptions = {
    manifest,
    manifestSha256: "0f".repeat(32),
    shardFiles: (shard) => files[shard]!,
    imageSize: 16,
    cacheFolder: join(folder, "cache", "of images"),
  };
  return { raw, options, files };
};

/** Names of the files in a folder, not of the folders. */
const filesIn = (folder: string) =>
  [...Deno.readDirSync(folder)].flatMap(({ name, isFile }) => isFile ? [name] : []);

const load = (options: LoadOptions) => Effect.runPromise(loadImages(options));

const shapes: Raw[] = [[20, 1], [16, 1], [9, 1], [40, 1], [16, 1]];

Deno.test(
  "images come at one size in the manifest's order, resized",
  withFolder(async (folder) => {
    const { raw, options } = await atRest(folder, shapes);
    const { pixels, side, channels, count } = await load(options);
    expect({ side, channels, count }).toEqual({ side: 16, channels: 1, count: 5 });
    const expected = raw.map((data, i) => {
      const [side, channels] = shapes[i]!;
      return resizeSquare({ width: side, height: side, channels, data }, 16);
    });
    expect(pixels).toEqual(Uint8Array.from(expected.flatMap((image) => [...image])));
    expect(pixels.subarray(256, 512)).toEqual(raw[1]);
  }),
);

Deno.test(
  "with one RGB image all have three channels, grey ones repeated",
  withFolder(async (folder) => {
    const { raw, options } = await atRest(folder, [[16, 1], [16, 3]]);
    const { pixels, channels } = await load(options);
    expect(channels).toBe(3);
    expect(pixels).toEqual(
      Uint8Array.from([...[...raw[0]!].flatMap((value) => [value, value, value]), ...raw[1]!]),
    );
  }),
);

Deno.test(
  "the second time they come from the cache, the shards are not needed",
  withFolder(async (folder) => {
    const { options, files } = await atRest(folder, shapes);
    const first = await load(options);
    for (const file of files) await Deno.remove(file);
    expect(await load(options)).toEqual(first);
    // Another size, or another manifest, is another file.
    for (const other of [{ imageSize: 24 }, { manifestSha256: "1e".repeat(32) }]) {
      const error = await Effect.runPromise(Effect.flip(loadImages({ ...options, ...other })));
      expect(error.reason._tag).toBe("Storage");
    }
  }),
);

Deno.test(
  "a cache file that is cut off, changed, longer or of another shape is made anew",
  withFolder(async (folder) => {
    const { options } = await atRest(folder, shapes);
    const first = await load(options);
    const [name] = filesIn(options.cacheFolder);
    const file = join(options.cacheFolder, name!);
    const whole = await Deno.readFile(file);
    const flipped = (at: number) => whole.map((byte, i) => i === at ? byte ^ 1 : byte);
    const damages = [
      whole.subarray(0, 500),
      new Uint8Array(0),
      new Uint8Array(whole.length),
      Uint8Array.from([...whole, 0]),
      flipped(0),
      flipped(17),
      flipped(40),
      flipped(whole.length - 1),
    ];
    for (const damaged of damages) {
      await Deno.writeFile(file, damaged);
      expect(await load(options)).toEqual(first);
      expect(await Deno.readFile(file)).toEqual(whole);
    }
    expect(filesIn(options.cacheFolder).length).toBe(1);
  }),
);

Deno.test(
  "several loading at once get the same images and leave one file",
  withFolder(async (folder) => {
    const { options } = await atRest(folder, shapes);
    const all = await Promise.all(Array.from({ length: 6 }, () => load(options)));
    for (const images of all) expect(images).toEqual(all[0]);
    expect(filesIn(options.cacheFolder).length).toBe(1);
  }),
);

Deno.test(
  "a shard that is changed, too short or missing is an error that names it",
  withFolder(async (folder) => {
    const { options, files } = await atRest(folder, shapes);
    const { manifest } = options;
    const second = await Deno.readFile(files[1]!);
    const expectError = async (options: LoadOptions, message: RegExp) => {
      const error = await Effect.runPromise(Effect.flip(loadImages(options)));
      expect(error).toBeInstanceOf(DatasetError);
      expect(error.reason).toEqual({ _tag: "ShardCorrupt", shard: 1, key: options.manifest.shards[1]!.key });
      expect(error.message).toMatch(message);
      expect(error.message).toContain("dataset noise");
    };
    // what is damaged on this machine or can't be read at all may be read another time
    const expectRetry = async (why: RegExp) => {
      const error = await Effect.runPromise(Effect.flip(loadImages(options)));
      expect(error).toMatchObject({ reason: { _tag: "Storage", path: files[1] }, retryable: true });
      expect(error.message).toMatch(/shard 1 .* of dataset noise can't be read/);
      expect(error.message).toMatch(why);
    };
    await Deno.writeFile(files[1]!, second.map((byte, i) => i === 30 ? byte ^ 1 : byte));
    await expectRetry(/it is damaged/);
    expect((await Deno.stat(files[1]!)).mtime!.getTime()).toBe(0); // so that it is hashed before its next use
    await Deno.remove(files[1]!);
    await expectRetry(/No such file/);

    const with1 = (bytes: Uint8Array): LoadOptions => {
      Deno.writeFileSync(files[1]!, bytes);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const shards = [manifest.shards[0]!, { key: `sha256-${sha256}`, sha256, bytes: bytes.length }];
      return { ...options, manifest: { ...manifest, shards } };
    };
    await expectError(with1(new TextEncoder().encode("not compressed")), /can't be decompressed/);
    // What records say, changed one byte at a time; the second shard begins with an image of 40 × 40 grey pixels.
    const records = decompress(second);
    const changed = (at: number, value: number) =>
      compress(records.map((byte, i) => i === at ? value : byte));
    const damages: [Uint8Array, RegExp][] = [
      [compress(new Uint8Array(10)), /no image begins at byte 0/],
      [changed(0, 0), /no image begins at byte 0/],
      [changed(4, 41), /the pixels of the image at byte 0 do not have their checksum/],
      [changed(4, 0), /the image at byte 0 has 0 pixels a side and 1 channels/],
      [changed(8, 2), /the image at byte 0 has 40 pixels a side and 2 channels/],
      [changed(8, 3), /the image at byte 0 breaks off/],
      [changed(12, records[12]! ^ 1), /the pixels of the image at byte 0 do not have their checksum/],
      [changed(100, records[100]! ^ 1), /the pixels of the image at byte 0 do not have their checksum/],
      [compress(records.subarray(0, records.length - 1)), /the image at byte 1616 breaks off/],
      [compress(records.subarray(0, 1616)), /has no image at byte 1632, where a\/4.png must be/],
      [compress(records.subarray(1616)), /has another image in the place of a\/3.png: side 16 instead of 40/],
      [compress(Uint8Array.from([...records, 0])), /no image begins at byte 1888/],
    ];
    for (const [bytes, message] of damages) await expectError(with1(bytes), message);

    const withImage = (index: number, change: Partial<ManifestImage>): LoadOptions => {
      const images = manifest.images.map((image, i) => i === index ? { ...image, ...change } : image);
      return { ...with1(second), manifest: { ...manifest, images } };
    };
    const misread: [Partial<ManifestImage>, RegExp][] = [
      [{ offset: 1633 }, /has no image at byte 1633, where a\/4.png must be/],
      [{ side: 15 }, /has another image in the place of a\/4.png: side 16 instead of 15/],
      [{ channels: 3 }, /has another image in the place of a\/4.png: channels 1 instead of 3/],
      [{ crc32: 1 }, /has another image in the place of a\/4.png: crc32 \d+ instead of 1/],
      [
        { ...manifest.images[3]!, path: "a/4.png" },
        /has one image at byte 16, where both a\/3.png and a\/4.png must be/,
      ],
    ];
    for (const [change, message] of misread) await expectError(withImage(4, change), message);
  }),
);
