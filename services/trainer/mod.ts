/** Training without the service around it, for benchmarks and tests that cross services. */
export { trainEpoch } from "./epoch.ts";
export { shuffledBatches } from "./sampler.ts";
export { Trainee } from "./trainee.ts";
