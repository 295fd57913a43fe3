import { serveClusterer } from "@subtaxa/relabelling";
import { xMeans } from "./xmeans.ts";

serveClusterer((spec) => (points, allowedClusters, random) =>
  xMeans(points, { ...spec, allowedClusters, random })
);
