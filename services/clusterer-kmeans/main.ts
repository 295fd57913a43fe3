import { runClusterer } from "@subtaxa/relabelling";
import { plan } from "./plan.ts";

runClusterer({
  name: "clusterer-kmeans",
  route: "kmeans",
  plan,
  worker: new URL("./worker.ts", import.meta.url),
});
