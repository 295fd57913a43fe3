import { createHash } from "node:crypto";
import type { Outcome } from "./assembly.ts";
import { compress } from "./compression.ts";
import { readImage } from "./read.ts";
import type { Answers, Request, Shard } from "./workers.ts";

/** The part of a worker's global scope that serving needs. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => Promise<void>;
  postMessage(answer: Answers[Request["task"]], transfer: Transferable[]): void;
};

const shardOf = (pixels: Uint8Array): Shard => {
  const bytes = compress(pixels);
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
};

/** Moves the pixels of all images into one buffer, which can then be handed over instead of copied. */
const packed = (outcomes: readonly Outcome[]): { outcomes: Outcome[]; buffer: ArrayBuffer } => {
  const bytes = outcomes.reduce(
    (sum, outcome) => sum + ("image" in outcome ? outcome.image.data.length : 0),
    0,
  );
  const all = new Uint8Array(bytes);
  let used = 0;
  const moved = outcomes.map((outcome) => {
    if (!("image" in outcome)) return outcome;
    all.set(outcome.image.data, used);
    const data = all.subarray(used, used += outcome.image.data.length);
    return { ...outcome, image: { ...outcome.image, data } };
  });
  return { outcomes: moved, buffer: all.buffer };
};

scope.onmessage = async ({ data: request }) => {
  if (request.task === "compress") {
    const shard = shardOf(request.pixels);
    return scope.postMessage(shard, [shard.bytes.buffer]);
  }
  const read = [];
  for (const candidate of request.candidates) {
    read.push(await readImage(request.root, candidate, request.maxSide));
  }
  const { outcomes, buffer } = packed(read);
  scope.postMessage(outcomes, [buffer]);
};
