/** Starting, stopping, probing, logging and counting: the same for every service. */
export { ServiceConfig } from "./config.ts";
export {
  HandlingError,
  outdated,
  ownerOf,
  progressOf,
  scratchFile,
  timestamp,
  unexpected,
} from "./handling.ts";
export { measureLag, refreshed } from "./metrics.ts";
export { inShards, type Portion, portionsDone, type ShardedStep, withShards } from "./sharding.ts";
export { type Fetch, runService, serve, type ServiceOptions } from "./run.ts";
export { uncaught } from "./uncaught.ts";
