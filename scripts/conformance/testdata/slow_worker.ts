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
    const plainly = () => {
      const started = performance.now();
      for (let k = 1; k <= most; k++) kMeans(points, k, { random: random(1, k) });
      return performance.now() - started;
    };
    plainly(); // compiles it
    // twice what is allowed for four such classes
    const millis = Math.max(12_000, 2 * 40 * 4 * plainly());
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis);
  }
  return kMeans(points, most, { ...parameters, random: source });
});
