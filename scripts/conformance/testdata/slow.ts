/** A clusterer that does everything right, but takes far too long for the first large class that it is given. */
import { KMeansParameters } from "@subtaxa/clustering";
import { runClusterer } from "@subtaxa/relabelling";
import { Effect } from "effect";

runClusterer({
  name: "clusterer-slow",
  route: "slow",
  version: "0",
  description: "takes its time",
  parameters: KMeansParameters,
  plan: ({ state }) => Effect.succeed(state.classes),
  worker: new URL("./slow_worker.ts", import.meta.url),
});
