import { importFolder } from "@subtaxa/dataset";
import { Effect } from "effect";
import { join } from "node:path";
import type { Benchmark } from "./benchmark.ts";
import { THREADS } from "./machine.ts";
import { runScript, startPeer } from "./peer.ts";

const [count, width, height, maxSide] = [2000, 300, 200, 256] as const;

/**
 * Level 1 of the codec that the peer stores with: Python's own, or the one that we chose. Targets are what is reached: we also
 * hash files and pictures, and colours with half the resolution take libvips, which enlarges them as Pillow does, twice the time
 * that @napi-rs/image would take.
 */
const codecs = {
  zlib: { targets: { grey: 1.75, RGB: 1.2 }, says: "zlib" },
  zstd: { targets: { grey: 0.85, RGB: 0.6 }, says: "Zstandard as ours" },
} as const;

/** Import of JPEG files. Both sides keep all pixels, 16 images in a frame, and read with as many workers. */
export const importing = (kind: "grey" | "RGB", codec: keyof typeof codecs): Benchmark => ({
  name: `import, 2,000 ${kind} JPEG 300×200, the peer stores by ${codecs[codec].says}`,
  peerName: `torchvision 0.29.2 and Pillow 13.0.0, DataLoader, ${THREADS} workers`,
  target: codecs[codec].targets[kind],
  rounds: 5,
  prepare: (folder) =>
    Effect.gen(function* () {
      const mode = kind === "grey" ? "L" : "RGB";
      const path = join(folder, "images");
      yield* runScript("images.py", [path, ...[count, width, height].map(String), mode]);
      const ours = Effect.promise(async () => {
        const outputFolder = await Deno.makeTempDir({ dir: folder });
        const started = performance.now();
        await Effect.runPromise(
          importFolder({ name: "bench", path, maxSide, minClassImages: 5, workers: THREADS, outputFolder }),
        );
        const seconds = (performance.now() - started) / 1000;
        await Deno.remove(outputFolder, { recursive: true });
        return seconds;
      });
      return {
        ours,
        peer: yield* startPeer("import.py", [path, String(maxSide), mode, String(THREADS), codec]),
      };
    }),
});
