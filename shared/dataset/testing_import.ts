/** For tests of the import: folders of made-up images, and what becomes of them. */
import type { Manifest } from "@subtaxa/contracts";
import { random } from "@subtaxa/random";
import { Effect } from "effect";
import { expect } from "expect";
import { join } from "node:path";
import sharp from "sharp";
import { DatasetError, importFolder, type ImportOptions } from "./mod.ts";
import { tiff } from "./testing.ts";

/** A grey PNG of noise, different for every seed. */
export const noise = (seed: number, width = 12, height = 9): Promise<Uint8Array> => {
  const source = random(seed);
  const data = Uint8Array.from({ length: width * height }, () => source.integer(256));
  return sharp(data, { raw: { width, height, channels: 1 } }).toColourspace("b-w").png().toBuffer();
};

/** Writes files into `folder`/data and returns the options to import them. */
export const dataset = async (
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
export const classes = (names: readonly string[], count = 5): Record<string, Promise<Uint8Array>> =>
  Object.fromEntries(
    names.flatMap((name, n) =>
      Array.from({ length: count }, (_, i) => [`${name}/${i}.png`, noise(1000 * n + i)] as const)
    ),
  );

export const run = (options: ImportOptions) => Effect.runPromise(importFolder(options));

export const failureOf = async (options: ImportOptions): Promise<DatasetError> => {
  const error = await Effect.runPromise(Effect.flip(importFolder(options)));
  expect(error).toBeInstanceOf(DatasetError);
  return error;
};

export const imageOf = (manifest: Manifest, path: string) =>
  manifest.images.find((image) => image.path === path)!;

export const warnings = (manifest: Manifest): Record<string, string> =>
  Object.fromEntries(manifest.warnings.map(({ kind, message }) => [kind, message]));

/** Reasons by file. */
export const reasons = (manifest: Pick<Manifest, "rejected">) =>
  Object.fromEntries(manifest.rejected.map(({ file, reason }) => [file, reason]));

/** A grey 16-bit TIFF of 2 × 2 pixels. */
export const deep = (...samples: number[]) => tiff(2, 2, Uint16Array.from(samples));
