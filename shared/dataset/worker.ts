import { join } from "node:path";
import type { Outcome, Portion } from "./assembly.ts";
import { compress } from "./compression.ts";
import { type DepthStatistics, mergeStatistics, noStatistics } from "./depth.ts";
import { readDepth, type ReadImage, readImage } from "./read.ts";
import { recordBytes, recordHeaderBytes, writeRecord } from "./shard.ts";
import { Unusable } from "./unusable.ts";
import type { Request } from "./workers.ts";

/** The part of a worker's global scope that serving needs. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => Promise<void>;
  postMessage(answer: DepthStatistics | Portion, transfer?: Transferable[]): void;
};

/** The records of a portion, used again for the next: fresh memory costs as much as copying into it. */
let records = new Uint8Array(2 ** 20);

const unusable = (cause: unknown): Unusable => {
  if (cause instanceof Unusable) return cause;
  throw cause;
};

/** The space for a record behind those in use. */
const spaceFor = (bytes: number, used: number): Uint8Array => {
  if (used + bytes > records.length) {
    const larger = new Uint8Array(2 * (used + bytes));
    larger.set(records.subarray(0, used));
    records = larger;
  }
  return records.subarray(used, used + bytes);
};

const depth = async ({ root, candidates }: Request): Promise<DepthStatistics> => {
  let seen = noStatistics;
  for (const { path } of candidates) {
    const one = await readDepth(join(root, path));
    if (one) seen = mergeStatistics(seen, one);
  }
  return seen;
};

const read = async ({ root, candidates, maxSide, depth }: Request & { type: "read" }): Promise<Portion> => {
  const outcomes: Outcome[] = [];
  let used = 0;
  for (const candidate of candidates) {
    const read: ReadImage | Unusable = await readImage(join(root, candidate.path), maxSide, depth)
      .catch(unusable);
    if (read instanceof Unusable) {
      outcomes.push({ candidate, reason: read.message });
      continue;
    }
    const { image, ...others } = read;
    const space = spaceFor(recordHeaderBytes + image.data.length, used);
    const header = writeRecord(image, space);
    outcomes.push({ candidate, ...header, ...others });
    used += recordBytes(header);
  }
  return { outcomes, bytes: used, compressed: compress(records.subarray(0, used)) };
};

scope.onmessage = async ({ data }) => {
  if (data.type === "depth") return scope.postMessage(await depth(data));
  const portion = await read(data);
  scope.postMessage(portion, [portion.compressed.buffer]);
};
