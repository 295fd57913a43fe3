import { Bus } from "@subtaxa/bus";
import {
  type ClustererAnnouncement,
  ClustererName,
  CONTRACT_VERSION,
  discoverySubject,
  subjects,
} from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { Effect } from "effect";
import { z } from "zod";
import { clusterBy, Clusterer, type Plan, taken } from "./handlers.ts";

export interface ClustererOptions {
  /** The service's name in logs. */
  readonly name: string;
  /** The name that runs ask for with `clusterer`, unless `SUBTAXA_CLUSTERER_NAME` gives another. */
  readonly route: string;
  readonly version: string;
  /** How it divides a class, in a sentence. */
  readonly description: string;
  /** What a run's `parameters` may be; every field may be left out. */
  readonly parameters: z.ZodObject;
  readonly plan: Plan;
  /** A module that calls `serveClusterer`. */
  readonly worker: URL;
}

/** Runs a clusterer as a service of its own: it takes whatever is sent along its route, and announces itself. */
export const runClusterer = (options: ClustererOptions): void => {
  const { name, version, description, parameters, plan, worker } = options;
  // two versions of one clusterer can serve different runs side by side
  const route = ClustererName.parse(Deno.env.get("SUBTAXA_CLUSTERER_NAME") || options.route);
  const announcement: ClustererAnnouncement = {
    v: CONTRACT_VERSION,
    name: route,
    version,
    instance: crypto.randomUUID(),
    description,
    parameters: z.toJSONSchema(parameters, { io: "input" }),
  };
  runService({
    name,
    layer: Clusterer.layer(worker),
    consumers: [{
      durable: `clusterer-${route}`,
      filters: taken.map((type) => subjects.of(type, route)),
      handler: clusterBy({ clusterer: { name: route, version }, plan, parameters }),
    }],
    background: [Effect.flatMap(Bus, (bus) => bus.answer(discoverySubject.clusterer, announcement))],
  });
};
