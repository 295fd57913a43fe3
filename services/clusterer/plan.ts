import type { ClusteringError } from "@subtaxa/clustering";
import type { Plan } from "@subtaxa/relabelling";
import { Effect } from "effect";
import { adapt } from "./adaptation.ts";

/** Algorithm 1 adapts after each validation; before the first epoch every class is whole and stays so. */
export const plan: Plan = (event) =>
  event.type === "epoch.validated"
    ? Effect.try({
      try: () => adapt(event.state.classes, event.falseNegatives, event.spec),
      catch: (cause) => cause as ClusteringError, // the only one that it throws
    })
    : Effect.succeed(event.state.classes);
