import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import sharp from "sharp";
import { batch, importFolder, loadImages, split } from "./mod.ts";
import { withFolder } from "./testing.ts";

const plankton = "../shared/data/plankton-groups";
const isThere = await Deno.stat(plankton).then(({ isDirectory }) => isDirectory, () => false);

Deno.test({
  name: "real plankton images: import, split and load, and a picture agrees with libvips",
  ignore: !isThere,
  fn: withFolder(async (folder) => {
    const path = join(folder, "plankton");
    const outputFolder = join(folder, "shards");
    await Deno.mkdir(outputFolder);
    for (const name of ["copepod", "hydromedusae", "trichodesmium"]) {
      await Deno.mkdir(join(path, name), { recursive: true });
      const files = [...Deno.readDirSync(join(plankton, name))].map((entry) => entry.name).sort().slice(
        0,
        60,
      );
      for (const file of files) await Deno.copyFile(join(plankton, name, file), join(path, name, file));
    }
    const { manifest, shardFiles } = await Effect.runPromise(
      importFolder({ name: "plankton", path, maxSide: 256, minClassImages: 5, outputFolder }),
    );
    expect(manifest.classes).toEqual(["copepod", "hydromedusae", "trichodesmium"]);
    expect(manifest.images.length).toBe(180);
    expect(manifest.rejected).toEqual([]);
    // The files are grey pictures saved as RGB JPEG.
    expect(manifest.images.every((image) => image.channels === 1)).toBe(true);

    const images = await Effect.runPromise(loadImages({
      manifest,
      manifestSha256: "0".repeat(64),
      shardFiles: (shard) => shardFiles[shard]!,
      imageSize: 64,
      cacheFolder: join(folder, "cache"),
    }));
    expect([images.side, images.channels, images.count]).toEqual([64, 1, 180]);
    for (const i of [0, 70, 150]) {
      const { data, info } = await sharp(join(path, manifest.images[i]!.path)).extractChannel(0).raw()
        .toBuffer({ resolveWithObject: true });
      expect(manifest.images[i]!.side).toBe(Math.max(info.width, info.height));
      // Resizing keeps the mean where there is no padding: compare the brightness of the picture's own part.
      const scale = 64 / manifest.images[i]!.side;
      const inside = (at: number, length: number) => Math.abs(at + 0.5 - 32) < length * scale / 2 - 1;
      let sum = 0, count = 0;
      for (let y = 0; y < 64; y++) {
        for (let x = 0; x < 64; x++) {
          if (!inside(x, info.width) || !inside(y, info.height)) continue;
          sum += images.pixels[i * 4096 + y * 64 + x]!;
          count += 1;
        }
      }
      const mean = data.reduce((a, b) => a + b, 0) / data.length;
      expect(Math.abs(sum / count - mean)).toBeLessThan(6);
    }
    const { train, validation, test } = split(manifest.images.map((image) => image.class), {
      seed: 0,
      folds: 1,
      fold: 0,
    });
    expect([train.length, validation.length, test.length]).toEqual([126, 18, 36]);
    const values = batch(images, train);
    expect(values.length).toBe(126 * 4096);
    expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
  }),
});
