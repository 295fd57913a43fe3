/** Every event, artifact and API type of Subtaxa: the whole contract between services, and with the outside. */
export * from "./api.ts";
export * from "./artifacts.ts";
export * from "./blob.ts";
export * from "./clusterer.ts";
export * from "./dataset.ts";
export * from "./division.ts";
export * from "./events.ts";
export * from "./failure.ts";
export * from "./progress.ts";
export * from "./run.ts";
