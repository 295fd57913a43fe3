/** X-Means without the service around it, for benchmarks. */
export { Points } from "@subtaxa/clustering";
export { xMeans } from "./xmeans.ts";
