import type { ImportWarning } from "@subtaxa/contracts";
import type { Found } from "./walk.ts";

/** Names that folders of a data set's parts have, in lower case. */
const splitNames = new Set([
  "train",
  "training",
  "val",
  "valid",
  "validation",
  "test",
  "testing",
  "dev",
  "eval",
  "holdout",
]);

/** Of some folders those that are called as the parts of a split: `train`, `Test`, `validation_set`, `images-train`. */
export const partsOf = (names: readonly string[]): readonly string[] =>
  names.filter((name) => name.toLowerCase().split(/[^a-z]+/).some((word) => splitNames.has(word)));

/** What to do with the parts of a split, which lie in the folder `within`. */
export const splitAdvice = (parts: readonly string[], within?: string): string =>
  `the folders ${listed(parts)}${
    within === undefined ? "" : ` in ${within}`
  } look like the parts of a split. Put the images of ` +
  "each class into one folder, and import the folder that holds these: Subtaxa makes the split";

/** Names of folders that lie in two or more classes, where every class holds folders. */
const repeatedFolders = (classes: readonly string[], subfolders: Found["subfolders"]): readonly string[] => {
  const inside = classes.map((name) => subfolders.get(name) ?? []);
  if (inside.some((folders) => folders.length === 0)) return [];
  const counts = new Map<string, number>();
  for (const name of inside.flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 1).map(([name]) => name).sort();
};

/** A name with its combining marks written out, by which two spellings differ that look the same. */
const spelled = (name: string): string =>
  `"${name.replace(/\p{M}/gu, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;

/** Names in a message, cut off after `most`. */
export const listed = (names: readonly string[], most = 5): string =>
  names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");

/** @param paths of files that hold several images */
export const stackWarnings = (paths: readonly string[]): readonly ImportWarning[] =>
  paths.length === 0 ? [] : [{
    kind: "stacks",
    message: "of TIFF files with several pages the first is read, the others are not: " +
      `${listed(paths)}; save each page as a file if they are images of their own`,
  }];

/** What the layout of folders says that its owner may not have meant; `classes` are those that were kept. */
export const layoutWarnings = (
  { subfolders, hidden }: Pick<Found, "subfolders" | "hidden">,
  classes: readonly string[],
): readonly ImportWarning[] => {
  const warnings: ImportWarning[] = [];
  const parts = partsOf(classes);
  const repeated = repeatedFolders(classes, subfolders);
  if (parts.length >= 2) {
    warnings.push({ kind: "split-folders", message: `each is taken for a class: ${splitAdvice(parts)}` });
  } else if (repeated.length > 0) {
    warnings.push({
      kind: "repeated-folders",
      message: `folders of the same names lie in several classes (${listed(repeated)}): ` +
        `if these are the classes, and ${listed(classes)} are years, samples or the like, ` +
        "put the images of each class into one folder",
    });
  }
  const alike = Map.groupBy(classes, (name) => name.normalize("NFC").toLowerCase());
  for (const names of alike.values()) {
    if (names.length < 2) continue;
    warnings.push({
      kind: "names-differ-by-case",
      message: `the classes ${names.map(spelled).join(" and ")} ` +
        "differ only by upper and lower case or by how their accents are written: " +
        "put their images into one folder if they are one class",
    });
  }
  if (hidden.length > 0) {
    warnings.push({
      kind: "hidden-files",
      message: `hidden files and folders, whose names begin with a dot, are passed over: ${listed(hidden)}`,
    });
  }
  return warnings;
};

/** Fewer images than this are too few for a class to be learnt and scored. */
const smallClass = 10;

/** @param classes names and numbers of images */
export const smallClassWarnings = (
  classes: readonly (readonly [name: string, images: number])[],
): readonly ImportWarning[] => {
  const small = classes.filter(([, images]) => images < smallClass)
    .map(([name, images]) => `${name} (${images})`);
  if (small.length === 0) return [];
  return [{
    kind: "small-class",
    message: `classes with fewer than ${smallClass} images are hardly learnt, and their scores vary much: ` +
      listed(small),
  }];
};
