import { alongPrincipalAxes, KMeansParameters } from "@subtaxa/clustering";
import { serveClusterer } from "@subtaxa/relabelling";
import { xMeans } from "./xmeans.ts";

serveClusterer(
  KMeansParameters,
  (spec, { pcaDimensions, ...parameters }) =>
    alongPrincipalAxes(
      pcaDimensions,
      (points, allowedClusters, random) =>
        xMeans(points, { ...spec, ...parameters, allowedClusters, random }),
    ),
);
