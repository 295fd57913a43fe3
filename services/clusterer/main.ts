import { subjects } from "@subtaxa/contracts";
import { runService } from "@subtaxa/service";
import { cluster, Clusterer } from "./handlers.ts";

/** The name that runs ask for with `"clusterer": "xmeans"`; it is this service's route. */
const ROUTE = "xmeans";

runService({
  name: "clusterer",
  layer: Clusterer.layer,
  consumers: [{
    durable: `clusterer-${ROUTE}`,
    filters: [subjects.of("epoch.validated", ROUTE), subjects.of("features.extracted", ROUTE)],
    handler: cluster,
  }],
});
