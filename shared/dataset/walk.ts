import type { Rejected } from "@subtaxa/contracts";
import { Effect } from "effect";
import { join, sep } from "node:path";
import { DatasetError } from "./error.ts";
import { detailOf } from "./unusable.ts";

/** A file that should be an image, by its name. */
export interface Candidate {
  /** Below the dataset's folder, `/`-separated. */
  readonly path: string;
  /** Name of its first-level folder. */
  readonly class: string;
}

export interface Found {
  /** The dataset's folder, absolute and without symbolic links. */
  readonly root: string;
  /** Sorted; those without images too. */
  readonly classes: readonly string[];
  /** Sorted by path, so that the candidates of a class are neighbours. */
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly Rejected[];
}

/**
 * Lists the class folders below `path` (its first level) and their images at any depth. Names that begin with a dot
 * are passed over; files that are no images by their name, and symbolic links that lead out of the folder or to
 * folders, are rejected.
 */
export const findImages = (path: string): Effect.Effect<Found, DatasetError> =>
  Effect.gen(function* () {
    const root = yield* Effect.tryPromise({
      try: () => Deno.realPath(path),
      catch: (cause) =>
        cause instanceof Deno.errors.NotFound
          ? failure("Missing", path, "does not exist", cause)
          : failure("Unreadable", path, `can't be read: ${detailOf(cause)}`, cause),
    });
    const found = yield* Effect.tryPromise({
      try: (signal) => walk(root, signal),
      catch: (cause) =>
        cause instanceof Deno.errors.NotADirectory
          ? failure("NotAFolder", path, "is not a folder: give the one that holds the class folders", cause)
          : failure("Unreadable", path, `can't be read: ${detailOf(cause)}`, cause),
    });
    if (found.classes.length > 0) return found;
    const advice = "holds no folders: put the images of each class into a folder named after the class";
    return yield* failure("NoClassFolders", path, advice);
  });

const failure = (
  tag: "Missing" | "NotAFolder" | "Unreadable" | "NoClassFolders",
  path: string,
  predicate: string,
  cause?: unknown,
) => new DatasetError({ reason: { _tag: tag, path }, message: `${path} ${predicate}`, cause });

const imageName = /\.(png|jpe?g|webp|tiff?|bmp)$/i;

const walk = async (root: string, signal: AbortSignal): Promise<Found> => {
  const classes: string[] = [];
  const candidates: Candidate[] = [];
  const rejected: Rejected[] = [];

  const sort = async (entry: Deno.DirEntry, folder: string): Promise<void> => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory) {
      if (folder === "") classes.push(entry.name);
      return await visit(path);
    }
    const reason = (entry.isSymlink ? await refuseLink(root, path) : undefined) ??
      (entry.isFile || entry.isSymlink ? undefined : "is no regular file") ??
      (folder === "" ? "lies in no class folder" : undefined) ??
      (imageName.test(entry.name)
        ? undefined
        : "is no image by its name (PNG, JPEG, WebP, TIFF, BMP are read)");
    if (reason) rejected.push({ file: path, reason });
    else candidates.push({ path, class: path.slice(0, path.indexOf("/")) });
  };

  const visit = async (folder: string): Promise<void> => {
    let entries: Deno.DirEntry[];
    try {
      entries = await Array.fromAsync(Deno.readDir(join(root, folder)));
    } catch (cause) {
      if (folder === "") throw cause;
      rejected.push({ file: `${folder}/`, reason: `can't be read: ${detailOf(cause)}` });
      return;
    }
    for (const entry of entries) {
      signal.throwIfAborted();
      if (!entry.name.startsWith(".")) await sort(entry, folder);
    }
  };

  await visit("");
  return {
    root,
    classes: classes.sort(),
    candidates: candidates.sort((a, b) => a.path < b.path ? -1 : 1),
    rejected,
  };
};

/** Why a symbolic link is not followed; undefined when it leads to a file of the dataset's own folder. */
const refuseLink = async (root: string, path: string): Promise<string | undefined> => {
  let target: string;
  try {
    target = await Deno.realPath(join(root, path));
  } catch (cause) {
    return `symbolic link that can't be followed: ${detailOf(cause)}`;
  }
  if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) {
    return "symbolic link that leads out of the dataset's folder";
  }
  const { isFile } = await Deno.stat(target);
  return isFile ? undefined : "symbolic link to a folder: not followed";
};
