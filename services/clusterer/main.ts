import { KMeansParameters } from "@subtaxa/clustering";
import { runClusterer } from "@subtaxa/relabelling";
import about from "./deno.json" with { type: "json" };
import { plan } from "./plan.ts";

runClusterer({
  name: "clusterer",
  route: "xmeans",
  version: about.version,
  description: "X-Means: as many clusters as the information criterion likes best, up to Algorithm 1's limit",
  parameters: KMeansParameters,
  plan,
  worker: new URL("./worker.ts", import.meta.url),
});
