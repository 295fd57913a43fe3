import { expect } from "expect";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import sharp from "sharp";
import { decompress } from "./compression.ts";
import type { ImportOptions } from "./mod.ts";
import { tiff, withFolder } from "./testing.ts";
import { classes, dataset, deep, imageOf, reasons, run, warnings } from "./testing_import.ts";

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
  "a 16-bit image counts twice in the progress, as it is read twice",
  withFolder(async (folder) => {
    const options = await dataset(folder, { ...classes(["a", "b"]), "a/x.tif": deep(0, 1, 2, 3000) });
    const seen: string[] = [];
    await run({ ...options, onProgress: ({ done, total }) => seen.push(`${done}/${total}`) });
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => `${i + 1}/12`));
  }),
);
