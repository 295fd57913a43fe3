import { join } from "node:path";
import type { Outcome, Portion } from "./assembly.ts";
import { compress } from "./compression.ts";
import { readImage } from "./read.ts";
import { Unusable } from "./unusable.ts";
import type { Request } from "./workers.ts";

/** The part of a worker's global scope that serving needs. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Request>) => Promise<void>;
  postMessage(answer: Portion, transfer: Transferable[]): void;
};

/** The pixels of a portion, used again for the next: fresh memory costs as much as copying into it. */
let pixels = new Uint8Array(2 ** 20);

const unusable = (cause: unknown): Unusable => {
  if (cause instanceof Unusable) return cause;
  throw cause;
};

scope.onmessage = async ({ data: { root, candidates, maxSide } }) => {
  const outcomes: Outcome[] = [];
  let used = 0;
  for (const candidate of candidates) {
    const read = await readImage(join(root, candidate.path), maxSide).catch(unusable);
    if (read instanceof Unusable) {
      outcomes.push({ candidate, reason: read.message });
      continue;
    }
    const { image: { width: side, channels, data }, hash } = read;
    outcomes.push({ candidate, side, channels, hash });
    if (used + data.length > pixels.length) {
      const larger = new Uint8Array(2 * (used + data.length));
      larger.set(pixels.subarray(0, used));
      pixels = larger;
    }
    pixels.set(data, used);
    used += data.length;
  }
  const compressed = compress(pixels.subarray(0, used));
  scope.postMessage({ outcomes, compressed }, [compressed.buffer]);
};
