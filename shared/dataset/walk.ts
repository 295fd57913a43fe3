import type { ImportReport, Rejected } from "@subtaxa/contracts";
import { Effect } from "effect";
import { isJunk } from "junk";
import { join, sep } from "node:path";
import { DatasetError } from "./error.ts";
import { announcesImage } from "./read.ts";
import { detailOf, unreadable } from "./unusable.ts";
import { layoutWarnings } from "./warnings.ts";

/** A file that may be an image: its content decides. */
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
  /** Names of the folders in each class's folder, sorted. */
  readonly subfolders: ReadonlyMap<string, readonly string[]>;
  /** Sorted by path, so that the candidates of a class are neighbours. */
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly Rejected[];
  /** Hidden files and folders, which are passed over; without those that a system makes. */
  readonly hidden: readonly string[];
}

/**
 * Lists the class folders below `path` (its first level) and the files in them at any depth. Names that begin with a dot are
 * passed over; what a system makes for itself (`Thumbs.db`, `@eaDir`, `__MACOSX`) is rejected. Symbolic links, to files and
 * folders, are followed where `isAllowed` says so of the real path that they lead to; without it, below `path` only.
 */
export const findImages = (
  path: string,
  isAllowed?: (realPath: string) => boolean,
): Effect.Effect<Found, DatasetError> =>
  Effect.gen(function* () {
    const root = yield* Effect.tryPromise({
      try: () => Deno.realPath(path),
      catch: (cause) =>
        cause instanceof Deno.errors.NotFound
          ? failure("Missing", path, "does not exist", cause)
          : failure("Unreadable", path, `can't be read: ${detailOf(cause)}`, cause),
    });
    const found = yield* Effect.tryPromise({
      try: (signal) => walk(root, isAllowed ?? isWithin(root), signal),
      catch: (cause) =>
        cause instanceof Deno.errors.NotADirectory
          ? failure("NotAFolder", path, "is not a folder: give the one that holds the class folders", cause)
          : failure("Unreadable", path, `can't be read: ${detailOf(cause)}`, cause),
    });
    if (found.classes.length > 0) return found;
    const advice = "holds no folders: put the images of each class into a folder named after the class";
    const { reason, message } = failure("NoClassFolders", path, advice);
    const report: ImportReport = {
      rejected: found.rejected.toSorted((a, b) => a.file < b.file ? -1 : 1),
      warnings: [...layoutWarnings(found, [])],
      labelConflicts: [],
      depth: null,
    };
    return yield* new DatasetError({ reason, message, report });
  });

/** The same, with those candidates alone whose content announces an image, wherever links lead: for folders of one's own. */
export const findOwnImages = (path: string): Effect.Effect<Found, DatasetError> =>
  Effect.map(findImages(path, () => true), (found) => ({
    ...found,
    candidates: found.candidates.filter((candidate) => announcesImage(join(found.root, candidate.path))),
  }));

const failure = (
  tag: "Missing" | "NotAFolder" | "Unreadable" | "NoClassFolders",
  path: string,
  predicate: string,
  cause?: unknown,
) => new DatasetError({ reason: { _tag: tag, path }, message: `${path} ${predicate}`, cause });

const isWithin = (root: string) => (path: string): boolean =>
  path.startsWith(root.endsWith(sep) ? root : root + sep);

/** A folder on the way down. */
interface Folder {
  /** Below the dataset's folder; empty for itself. */
  readonly path: string;
  /** Its real path, and those of the folders above it: a link to one of them would lead round and round. */
  readonly real: string;
  readonly above: readonly string[];
  /** The folder at or above it that a system made, if there is one. */
  readonly junk: string | undefined;
}

type Kind = "file" | "folder" | { readonly reason: string };

/** Folders that systems make for themselves: recycle bins and snapshots. */
const systemNames = new Set([
  "#recycle",
  "#snapshot",
  "@Recycle",
  "@tmp",
  "$RECYCLE.BIN",
  "System Volume Information",
  "lost+found",
]);

/** A class may be called like a file that a system makes, `Ceratium~`. */
const systemFolders = new Set([...systemNames, "__MACOSX", "@eaDir"]);

const isMadeBySystem = ({ name, isFile }: Deno.DirEntry): boolean =>
  systemFolders.has(name) || (isFile && isJunk(name));

const walk = async (
  root: string,
  isAllowed: (path: string) => boolean,
  signal: AbortSignal,
): Promise<Found> => {
  const classes: string[] = [];
  const subfolders = new Map<string, string[]>();
  const candidates: Candidate[] = [];
  const rejected: Rejected[] = [];
  const hidden: string[] = [];
  const unreadableFolders = new Set<string>();
  const readFolders = new Map<string, string>();

  /** A folder that links lead to in several ways is read once in a class. */
  const readOnce = (path: string, real: string): Kind => {
    const key = `${path.split("/", 1)[0]}/${real}`;
    const first = readFolders.get(key);
    if (first !== undefined) return { reason: `symbolic link to a folder that is read already: as ${first}` };
    readFolders.set(key, path);
    return "folder";
  };

  const sort = async (entry: Deno.DirEntry, folder: Folder): Promise<void> => {
    const path = folder.path === "" ? entry.name : `${folder.path}/${entry.name}`;
    const junk = folder.junk ?? (isMadeBySystem(entry) ? entry.name : undefined);
    if (entry.name.startsWith(".")) {
      if (junk === undefined) hidden.push(path);
      return;
    }
    const [found, real] = await kindOf(entry, join(folder.real, entry.name), {
      isAllowed,
      above: folder.above,
    });
    const kind = found === "folder" ? readOnce(path, real) : found;
    if (kind === "folder") {
      const [first, second, ...deeper] = path.split("/") as [string, ...string[]];
      if (junk === undefined && second === undefined) classes.push(first);
      if (junk === undefined && second !== undefined && deeper.length === 0) {
        subfolders.set(first, [...subfolders.get(first) ?? [], second]);
      }
      return await visit({ path, real, above: [...folder.above, real], junk });
    }
    const reason = junk !== undefined
      ? `system file of a computer or network drive, not read: ${junk}`
      : kind !== "file"
      ? kind.reason
      : folder.path === ""
      ? "lies in no class folder"
      : undefined;
    if (reason) rejected.push({ file: path, reason });
    else candidates.push({ path, class: path.slice(0, path.indexOf("/")) });
  };

  const visit = async (folder: Folder): Promise<void> => {
    const path = folder.real;
    let entries: Deno.DirEntry[];
    try {
      entries = await Array.fromAsync(Deno.readDir(path));
    } catch (cause) {
      if (folder.path === "") throw cause;
      unreadableFolders.add(folder.path);
      rejected.push({ file: `${folder.path}/`, reason: unreadable(path, cause) });
      return;
    }
    for (const entry of entries) {
      signal.throwIfAborted();
      await sort(entry, folder);
    }
  };

  await visit({ path: "", real: root, above: [root], junk: undefined });
  return {
    root,
    classes: classes.filter((name) => !unreadableFolders.has(name)).sort(),
    subfolders: new Map([...subfolders].map(([name, inside]) => [name, inside.sort()])),
    candidates: candidates.sort((a, b) => a.path < b.path ? -1 : 1),
    rejected,
    hidden: hidden.sort(),
  };
};

/** What an entry is, links followed, and its real path. */
const kindOf = async (
  entry: Deno.DirEntry,
  path: string,
  { isAllowed, above }: {
    readonly isAllowed: (path: string) => boolean;
    readonly above: readonly string[];
  },
): Promise<readonly [Kind, string]> => {
  if (entry.isDirectory) return ["folder", path];
  if (entry.isFile) return ["file", path];
  if (!entry.isSymlink) return [{ reason: "is no regular file" }, path];
  try {
    const real = await Deno.realPath(path);
    if (!isAllowed(real)) return [{ reason: "symbolic link that leads out of the allowed folders" }, real];
    const { isFile, isDirectory } = await Deno.stat(real);
    if (isFile) return ["file", real];
    if (!isDirectory) return [{ reason: "is no regular file" }, real];
    return above.includes(real)
      ? [{ reason: "symbolic link to a folder that it lies in: not followed" }, real]
      : ["folder", real];
  } catch (cause) {
    const detail = cause instanceof Deno.errors.NotFound
      ? "what it leads to does not exist"
      : detailOf(cause);
    return [{ reason: `symbolic link that can't be followed: ${detail}` }, path];
  }
};
