import { kMeans, KMeansParameters } from "@subtaxa/clustering";
import { serveClusterer } from "@subtaxa/relabelling";

serveClusterer(
  KMeansParameters,
  (_spec, parameters) => (points, clusters, random) => kMeans(points, clusters, { ...parameters, random }),
);
