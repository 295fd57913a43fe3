import { alongPrincipalAxes, kMeans, KMeansParameters } from "@subtaxa/clustering";
import { serveClusterer } from "@subtaxa/relabelling";

serveClusterer(
  KMeansParameters,
  (_spec, { pcaDimensions, ...parameters }) =>
    alongPrincipalAxes(
      pcaDimensions,
      (points, clusters, random) => kMeans(points, clusters, { ...parameters, random }),
    ),
);
