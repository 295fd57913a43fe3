import { compare, parseSemVer } from "@nats-io/nats-core/internal";

/** Consumers take several subjects from this version on. */
export const OLDEST_SERVER = "2.10.0";

/** Whether a nats-server of this version can do what is needed, as it tells it: `2.10.7`, `2.12.0-RC.1`. */
export const isNewEnough = (version: string): boolean =>
  /\d+\.\d+\.\d+/.test(version) && compare(parseSemVer(version), parseSemVer(OLDEST_SERVER)) >= 0;
