import { alongPrincipalAxes, KMeansParameters } from "@subtaxa/clustering";
import { serveClusterer } from "@subtaxa/relabelling";
import { xMeans } from "./xmeans.ts";

serveClusterer(
  KMeansParameters,
  (spec, { pcaDimensions, ...parameters }, proceed) =>
    alongPrincipalAxes(
      pcaDimensions,
      (points, allowedClusters, random) =>
        xMeans(points, { ...spec, ...parameters, allowedClusters, random, onCandidate: proceed }),
    ),
);
