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

/** Names in a message, cut off after `most`. */
export const listed = (names: readonly string[], most = 5): string =>
  names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");

/** @param paths of files that hold several images */
export const stackWarnings = (paths: readonly string[]): readonly ImportWarning[] =>
  paths.length === 0 ? [] : [{
    kind: "stacks",
    message:
      `of TIFF files with several pages the first is read, the others are not: ${
        listed(paths)
      }; save each page as a ` +
      "file if they are images of their own",
  }];

/** What the layout of folders says that its owner may not have meant; `classes` are those that were kept. */
export const layoutWarnings = (
  { subfolders, hidden }: Pick<Found, "subfolders" | "hidden">,
  classes: readonly string[],
): readonly ImportWarning[] => {
  const warnings: ImportWarning[] = [];
  const parts = classes.filter((name) => splitNames.has(name.toLowerCase()));
  if (parts.length >= 2) {
    const inside = [...new Set(parts.flatMap((name) => subfolders.get(name) ?? []))].sort();
    const hold = inside.length > 0 ? `, which hold the folders ${listed(inside)}` : "";
    warnings.push({
      kind: "split-folders",
      message:
        `${
          listed(parts)
        } are taken for classes${hold}: if they are the parts of a split, put the images of each ` +
        "class into one folder and import the folder that holds these; Subtaxa makes the split",
    });
  }
  const alike = Map.groupBy(classes, (name) => name.normalize("NFC").toLowerCase());
  for (const names of alike.values()) {
    if (names.length < 2) continue;
    warnings.push({
      kind: "names-differ-by-case",
      message: `the classes ${
        names.map((name) => `"${name}"`).join(" and ")
      } differ only by upper and lower case or by how ` +
        "their accents are written: put their images into one folder if they are one class",
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
    message: `classes with fewer than ${smallClass} images are hardly learnt, and their scores vary much: ${
      listed(small)
    }`,
  }];
};
