import type { DatasetView } from "@subtaxa/contracts";
import type { Found } from "@subtaxa/dataset";
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { count } from "../cli/mod.ts";

const imageFiles = (number: number): string => count(number, "image file");

/** Usable images of a class that was left out, as the import says why; undefined where it says something else. */
const leftOut = (reason: string): number | undefined => {
  const [, usable] = /^class left out: (\d+) usable images/.exec(reason) ?? [];
  return usable === undefined ? undefined : Number(usable);
};

/**
 * In which classes a folder has more or fewer image files than were imported from it, a phrase each. Files that were
 * rejected, such as duplicates, count on both sides while they are there, so they make no difference by coming or going.
 */
export const changesOf = (
  { classes, candidates }: Pick<Found, "classes" | "candidates">,
  dataset: Pick<DatasetView, "classes" | "rejected">,
): string[] => {
  const rejected = new Set(dataset.rejected.map(({ file }) => file));
  const taken = new Map<string, number | undefined>([
    ...dataset.rejected.filter(({ file }) => /^[^/]+\/$/.test(file))
      .map(({ file, reason }) => [file.slice(0, -1), leftOut(reason)] as const),
    ...dataset.classes.map(({ name, images }) => [name, images] as const),
  ]);
  const files = Map.groupBy(candidates, (candidate) => candidate.class);
  return [...new Set([...taken.keys(), ...classes])].sort().flatMap((name) => {
    const here = files.get(name) ?? [];
    const known = here.filter(({ path }) => rejected.has(path)).length;
    if (!taken.has(name)) {
      return here.length === 0 ? [] : [`there is a new class '${name}' with ${imageFiles(here.length)}`];
    }
    const before = taken.get(name);
    if (before === undefined || here.length - known === before) return [];
    return classes.includes(name)
      ? [`class '${name}' has ${imageFiles(here.length)} now, ${before + known} when it was imported`]
      : [`class '${name}' is gone, which had ${imageFiles(before)} when it was imported`];
  });
};

/** The image files, and the folders with some, that have been made, written or moved since then; milliseconds. */
export const touchedSince = async ({ root, candidates }: Found, time: number): Promise<string[]> => {
  const touched: string[] = [];
  const folders = new Set(candidates.map(({ path }) => dirname(path)));
  for (const path of [...candidates.map(({ path }) => path), ...folders]) {
    const info = await stat(join(root, path)).catch(() => undefined); // gone since it was found
    if (info === undefined || Math.max(info.mtimeMs, info.ctimeMs) >= time) touched.push(path);
  }
  return touched;
};
