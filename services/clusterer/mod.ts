/** X-Means without the service around it, for benchmarks. */
export { Points } from "./points.ts";
export { xMeans } from "./xmeans.ts";
