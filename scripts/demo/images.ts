import { dirname, join, resolve } from "node:path";
import type { Failure } from "@subtaxa/contracts";
import { Data, Effect } from "effect";
import sharp from "sharp";
import { replaceFolder } from "../replace_folder.ts";
import { type Micrograph, photograph } from "./micrograph.ts";
import { type Random, seeded } from "./random.ts";
import { taxa, type Taxon, type View } from "./specimens.ts";

export interface DemoOptions {
  /** The same seed gives the same bytes; image i of a class doesn't depend on how many are drawn. */
  readonly seed: number;
  readonly imagesPerClass: number;
  /** Typical side of an image in pixels; sides vary from 5/6 to 4/3 of it, width and height on their own. */
  readonly side: number;
}

/** What was planted; the dataset's folder itself holds nothing from which a view could be read. */
export interface DemoDataset extends DemoOptions {
  /** Absolute path of the folder with one folder of PNG images per class. */
  readonly folder: string;
  readonly classes: readonly { readonly name: string; readonly views: readonly string[] }[];
  /** `path` is relative to `folder`, `/`-separated. */
  readonly images: readonly { readonly path: string; readonly class: string; readonly view: string }[];
}

export type DemoReason =
  | { readonly _tag: "FolderTaken"; readonly folder: string }
  | { readonly _tag: "WriteFailed"; readonly path: string; readonly cause: unknown };

export class DemoError extends Data.TaggedError("DemoError")<{ readonly reason: DemoReason }>
  implements Failure {
  readonly retryable = false;
  override get message(): string {
    return this.reason._tag === "FolderTaken"
      ? `${this.reason.folder} exists and was not drawn by the demo: choose another folder or remove it.`
      : `${this.reason.path} could not be written: ${this.reason.cause}. Is there space, and may you write there?`;
  }
}

/** The planted truth lies beside the dataset, not in it. */
export const truthFile = (folder: string): string => `${resolve(folder)}.truth.json`;

const chooseView = (random: Random, { views }: Taxon): View => {
  let ticket = random.unit() * views.reduce((sum, { weight }) => sum + weight, 0);
  return views.find(({ weight }) => (ticket -= weight) < 0) ?? views[0];
};

/** Draws image `index` of a class; pure. */
export const drawImage = (
  { seed, side }: Pick<DemoOptions, "seed" | "side">,
  classIndex: number,
  index: number,
): { readonly view: string; readonly image: Micrograph } => {
  const taxon = taxa[classIndex];
  if (taxon === undefined) throw new RangeError(`the demo has no class ${classIndex}`);
  const random = seeded(seed, classIndex, index);
  const view = chooseView(random, taxon);
  const pixel = side / 48;
  const frame = { pixel, shortest: Math.round(side * 5 / 6), longest: Math.round(side * 4 / 3) };
  return { view: view.name, image: photograph(random, view.draw(random, pixel), frame) };
};

const encode = ({ width, height, light }: Micrograph): Promise<Uint8Array> =>
  sharp(Uint8Array.from(light, (value) => Math.round(255 * value)), { raw: { width, height, channels: 1 } })
    .toColourspace("b-w").png().toBuffer();

const writing = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, DemoError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => new DemoError({ reason: { _tag: "WriteFailed", path, cause } }),
  });

const exists = (path: string): Effect.Effect<boolean, DemoError> =>
  writing(path, () =>
    Deno.stat(path).then(() => true, (error) => {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }));

/**
 * Draws the demo's dataset into `folder` and the planted truth into `truthFile(folder)`. The images are drawn
 * aside and moved into place whole. A folder that an earlier call drew is replaced; any other is refused.
 */
export const drawDataset = Effect.fn("drawDataset")(function* (folder: string, options: DemoOptions) {
  const target = resolve(folder);
  const truth = truthFile(target);
  if ((yield* exists(target)) && !(yield* exists(truth))) {
    return yield* new DemoError({ reason: { _tag: "FolderTaken", folder: target } });
  }

  const parent = dirname(target);
  yield* writing(parent, () => Deno.mkdir(parent, { recursive: true }));
  return yield* Effect.acquireUseRelease(
    writing(parent, () => Deno.makeTempDir({ dir: parent, prefix: ".drawing-" })),
    Effect.fnUntraced(function* (aside: string) {
      const drawn = join(aside, "images");
      for (const { name } of taxa) {
        yield* writing(target, () => Deno.mkdir(join(drawn, name), { recursive: true }));
      }
      const planned = taxa.flatMap((taxon, classIndex) =>
        Array.from({ length: options.imagesPerClass }, (_, index) => ({ taxon, classIndex, index }))
      );
      const images = yield* Effect.forEach(planned, ({ taxon, classIndex, index }) => {
        const path = `${taxon.name}/${String(index + 1).padStart(4, "0")}.png`;
        return writing(join(target, path), async () => {
          const { view, image } = drawImage(options, classIndex, index);
          await Deno.writeFile(join(drawn, path), await encode(image));
          return { path, class: taxon.name, view };
        });
      }, { concurrency: 8 });
      const classes = taxa.map(({ name, views }) => ({ name, views: views.map((view) => view.name) }));
      const dataset: DemoDataset = { folder: target, ...options, classes, images };
      yield* writing(truth, () => Deno.writeTextFile(truth, JSON.stringify(dataset, null, 1) + "\n"));
      yield* writing(target, () => replaceFolder(drawn, target));
      return dataset;
    }),
    (aside) => Effect.promise(() => Deno.remove(aside, { recursive: true })),
  );
});
