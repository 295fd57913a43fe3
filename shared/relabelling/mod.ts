/** A clusterer as a service, but for what one differs in from another: how many clusters, and how they are found. */
export type { Plan } from "./handlers.ts";
export { type ClustererOptions, runClusterer } from "./service.ts";
export { type ClustererWork, type RelabelInput, serveClusterer } from "./worker.ts";
