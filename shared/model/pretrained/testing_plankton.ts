/**
 * Real images for comparing a frozen network with the library's own: the first 40 of each of the first 10 classes of
 * ../shared/data/plankton, imported and resized as for a run. As a program, it writes their pixels into the file that is named
 * on the command line, for scripts/fixtures/pretrained_plankton.py, and their classes to standard output.
 */
import { type Images, importFolder, loadImages } from "@subtaxa/dataset";
import { Effect } from "effect";
import { join } from "node:path";

const [CLASSES, IMAGES, SIDE] = [10, 40, 224];

export const plankton = "../shared/data/plankton";
export const realWeights = "../shared/data/weights/efficientnet-b0-finetuned.safetensors";

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

export interface Plankton {
  readonly images: Images;
  readonly classOf: readonly number[];
}

export const loadPlankton = async (): Promise<Plankton> => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, outputFolder] = [join(folder, "plankton"), join(folder, "shards")];
    await Deno.mkdir(outputFolder);
    for (const name of namesIn(plankton).slice(0, CLASSES)) {
      await Deno.mkdir(join(path, name), { recursive: true });
      for (const file of namesIn(join(plankton, name)).slice(0, IMAGES)) {
        await Deno.copyFile(join(plankton, name, file), join(path, name, file));
      }
    }
    const { manifest, shardFiles } = await Effect.runPromise(
      importFolder({ name: "plankton", path, maxSide: 256, minClassImages: 5, outputFolder }),
    );
    const images = await Effect.runPromise(loadImages({
      manifest,
      manifestSha256: "0".repeat(64),
      shardFiles: (shard) => shardFiles[shard]!,
      imageSize: SIDE,
      cacheFolder: join(folder, "cache"),
    }));
    return { images, classOf: manifest.images.map((image) => image.class) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

if (import.meta.main) {
  const { images, classOf } = await loadPlankton();
  await Deno.writeFile(Deno.args[0]!, images.pixels);
  console.log(JSON.stringify({ side: images.side, channels: images.channels, classOf }));
}
