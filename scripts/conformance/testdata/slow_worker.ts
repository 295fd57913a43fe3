import { kMeans, KMeansParameters } from "@subtaxa/clustering";
import { random } from "@subtaxa/random";
import { serveClusterer } from "@subtaxa/relabelling";
import { join } from "node:path";

/** True once in the life of the data folder, whichever process asks. */
const isFirst = () => {
  try {
    Deno.mkdirSync(join(Deno.env.get("SUBTAXA_DATA")!, "slow-once"), { recursive: false });
    return true;
  } catch {
    return false;
  }
};

serveClusterer(KMeansParameters, (_spec, parameters) => (points, most, source) => {
  if (points.rows === 1_000 && isFirst()) {
    const started = performance.now();
    for (let k = 1; k <= most; k++) kMeans(points, k, { random: random(1, k) });
    const plain = 4 * (performance.now() - started);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(12_000, 100 * plain));
  }
  return kMeans(points, most, { ...parameters, random: source });
});
