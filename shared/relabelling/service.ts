import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { clusterBy, Clusterer, type Plan, taken } from "./handlers.ts";

export interface ClustererOptions {
  /** The service's name in logs. */
  readonly name: string;
  /** The name that runs ask for with `clusterer`. */
  readonly route: string;
  readonly plan: Plan;
  /** A module that calls `serveClusterer`. */
  readonly worker: URL;
}

/** Runs a clusterer as a service of its own: it takes whatever is sent along its route. */
export const runClusterer = ({ name, route, plan, worker }: ClustererOptions): void =>
  runService({
    name,
    layer: Clusterer.layer(worker),
    consumers: [{
      durable: `clusterer-${route}`,
      filters: taken.map((type) => subjects.of(type, route)),
      handler: clusterBy(plan),
    }],
  });
