import { runClusterer } from "@subtaxa/relabelling";
import { plan } from "./plan.ts";

runClusterer({
  name: "clusterer",
  route: "xmeans",
  plan,
  worker: new URL("./worker.ts", import.meta.url),
});
