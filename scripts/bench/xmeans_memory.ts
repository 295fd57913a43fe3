// Prints the peak memory of X-Means in the service's worker thread, from the files to the pseudo-labels, as a multiple of the
// embeddings' size, which is in it: xmeans_memory.ts FOLDER BYTES
import { TensorWorker } from "@subtaxa/tensorflow";
import { Effect } from "effect";
import { join } from "node:path";
import type { ClustererWork } from "@subtaxa/relabelling";
import { inputIn } from "./xmeans_files.ts";

const [folder, bytes] = [Deno.args[0]!, Number(Deno.args[1])];

const status = (name: string): number =>
  1024 * Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(Deno.readTextFileSync("/proc/self/status"))![1]);

await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  const worker = yield* TensorWorker.make<ClustererWork>(
    new URL("../../services/clusterer/worker.ts", import.meta.url),
  );
  yield* worker.call("relabel", inputIn(join(folder, "few"))); // loads its modules and the kernels
  Deno.writeTextFileSync("/proc/self/clear_refs", "5"); // the peak so far is forgotten
  const before = status("VmRSS");
  yield* worker.call("relabel", inputIn(join(folder, "many")));
  console.log((status("VmHWM") - before) / bytes);
})));
