import { kMeans, KMeansParameters } from "@subtaxa/clustering";
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
  // what is allowed is some 40 times what K-Means takes, a tenth of a second on a usual machine
  if (points.rows === 1_000 && isFirst()) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 45_000);
  }
  return kMeans(points, most, { ...parameters, random: source });
});
