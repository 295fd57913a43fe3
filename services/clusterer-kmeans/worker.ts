import { kMeans } from "@subtaxa/clustering";
import { serveClusterer } from "@subtaxa/relabelling";

serveClusterer(() => (points, clusters, random) => kMeans(points, clusters, { random }));
