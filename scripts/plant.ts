/**
 * `deno task plant`: makes a data set whose sub-classes are known, by merging classes of another one. Every new class holds
 * looks of its own kind side by side, and what looked alike is dealt to different classes.
 */
import type { Failure } from "@subtaxa/contracts";
import { type DatasetError, findOwnImages } from "@subtaxa/dataset";
import { Data, Effect } from "effect";
import { basename, dirname, join, sep } from "node:path";
import { execute, userPath, wholeNumber } from "./cli/mod.ts";
import { replaceFolder } from "./replace_folder.ts";
import { task } from "./task.ts";

/** Between the original class and the rest of a file's name: `reproduce --groups __`. */
const separator = "__";

/** Marks a folder that was made here; imports pass over names that begin with a dot. */
const mark = ".planted.json";

type PlantReason =
  | { readonly _tag: "FolderTaken"; readonly folder: string }
  | { readonly _tag: "Nested"; readonly from: string; readonly folder: string }
  | { readonly _tag: "TooFewClasses"; readonly classes: number }
  | { readonly _tag: "NameHoldsSeparator"; readonly class: string }
  | { readonly _tag: "WriteFailed"; readonly path: string };

export class PlantError extends Data.TaggedError("PlantError")<{
  readonly reason: PlantReason;
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

const writing = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, PlantError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new PlantError({
        reason: { _tag: "WriteFailed", path },
        message: `${path} can't be written (${cause instanceof Error ? cause.message : cause})`,
      }),
  });

const exists = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() => Deno.lstat(path).then(() => true, () => false));

/** The original classes of each new one: class i, in alphabetical order, goes to the new class i mod `number`. */
export const deal = (classes: readonly string[], number: number): ReadonlyMap<string, readonly string[]> => {
  const digits = String(number).length;
  const sorted = classes.toSorted();
  return new Map(Array.from({ length: number }, (_, k) => [
    `planted_${String(k + 1).padStart(digits, "0")}`,
    sorted.filter((_, i) => i % number === k),
  ]));
};

/** Where an image goes: the original class becomes the beginning of its file's name, folders in between stay. */
const targetOf = (path: string, from: string): string => {
  const inClass = dirname(path).split("/").slice(1);
  return [...inClass, `${from}${separator}${basename(path)}`].join("/");
};

export interface Planted {
  /** Original classes by new class. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  readonly images: number;
}

/**
 * Copies the images below `from` into `number` class folders below `folder`. The same input gives the same folder, which
 * appears whole. One that was made here before is replaced, any other refused.
 */
export const plant = (
  { from, folder, number }: { readonly from: string; readonly folder: string; readonly number: number },
): Effect.Effect<Planted, PlantError | DatasetError> =>
  Effect.gen(function* () {
    const { root, candidates } = yield* findOwnImages(from);
    const byClass = Map.groupBy(candidates, (candidate) => candidate.class);
    const refuse = (reason: PlantReason, message: string) => new PlantError({ reason, message });
    if (byClass.size <= number) {
      return yield* refuse(
        { _tag: "TooFewClasses", classes: byClass.size },
        `${from} has ${byClass.size} classes with images: name a smaller number than that`,
      );
    }
    const ambiguous = [...byClass.keys()].find((name) => name.includes(separator));
    if (ambiguous !== undefined) {
      return yield* refuse(
        { _tag: "NameHoldsSeparator", class: ambiguous },
        `the class '${ambiguous}' has "${separator}" in its name, which would end it in the new files' names: rename it`,
      );
    }
    const parent = dirname(folder);
    yield* writing(parent, () => Deno.mkdir(parent, { recursive: true }));
    const here = join(yield* writing(parent, () => Deno.realPath(parent)), basename(folder));
    if ((here + sep).startsWith(root + sep) || (root + sep).startsWith(here + sep)) {
      return yield* refuse(
        { _tag: "Nested", from, folder },
        `${folder} and ${from} lie in one another: choose a folder beside it`,
      );
    }
    if ((yield* exists(here)) && !(yield* exists(join(here, mark)))) {
      return yield* refuse(
        { _tag: "FolderTaken", folder },
        `${folder} exists and was not made by this: choose another folder or remove it`,
      );
    }
    const classes = deal([...byClass.keys()], number);
    yield* Effect.acquireUseRelease(
      writing(parent, () => Deno.makeTempDir({ dir: dirname(here), prefix: ".planting-" })),
      (aside) =>
        Effect.gen(function* () {
          const made = join(aside, "images");
          const copies = [...classes].flatMap(([name, originals]) =>
            originals.flatMap((original) =>
              byClass.get(original)!.map(({ path }) => ({
                source: join(root, path),
                target: join(made, name, targetOf(path, original)),
              }))
            )
          );
          for (const target of new Set(copies.map((copy) => dirname(copy.target)))) {
            yield* writing(target, () => Deno.mkdir(target, { recursive: true }));
          }
          // copied, as a hard link changes the original's ctime, by which a changed data set is told
          yield* Effect.forEach(
            copies,
            ({ source, target }) => writing(target, () => Deno.copyFile(source, target)),
            { concurrency: 16, discard: true },
          );
          const facts = `${JSON.stringify({ from: root, classes: Object.fromEntries(classes) }, null, 1)}\n`;
          yield* writing(folder, async () => {
            await Deno.writeTextFile(join(made, mark), facts);
            await replaceFolder(made, here);
          });
        }),
      (aside) => Effect.promise(() => Deno.remove(aside, { recursive: true })),
    );
    return { classes, images: candidates.length };
  });

if (import.meta.main) {
  const program = task(
    "plant",
    "Makes a data set with known sub-classes out of a folder of class folders: its classes, in alphabetical order, are " +
      `dealt into fewer new ones, and files are named <original class>${separator}<name>, as \`reproduce --groups ${separator}\` reads them.`,
  ).argument("<from>", "folder of class folders").argument("<folder>", "where the new one goes")
    .requiredOption("--classes <number>", "new classes to make", wholeNumber(2))
    .parse(Deno.args, { from: "user" });
  const [from = "", folder = ""] = program.args.map(userPath);
  const effect = plant({ from, folder, number: program.opts<{ classes: number }>().classes }).pipe(
    Effect.map(({ classes, images }) => {
      for (const [name, originals] of classes) console.log(`${name}: ${originals.join(", ")}`);
      console.log(`${images} images in ${folder}`);
      return 0;
    }),
  );
  Deno.exit(await execute({ effect, interrupted: 130 }));
}
