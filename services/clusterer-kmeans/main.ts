import { KMeansParameters } from "@subtaxa/clustering";
import { runClusterer } from "@subtaxa/relabelling";
import about from "./deno.json" with { type: "json" };
import { plan } from "./plan.ts";

runClusterer({
  name: "clusterer-kmeans",
  route: "kmeans",
  version: about.version,
  description: "K-Means: the same number of clusters, `fixedClusters`, in every class (GS-TRS)",
  parameters: KMeansParameters,
  plan,
  worker: new URL("./worker.ts", import.meta.url),
});
