import { z } from "zod";
import { DEFAULT_MAX_ITERATIONS, DEFAULT_RESTARTS } from "./kmeans.ts";

/** What a run may set of K-Means, for every number of clusters that is tried. */
export const KMeansParameters = z.strictObject({
  restarts: z.number().int().min(1).max(100).default(DEFAULT_RESTARTS).describe(
    "attempts from fresh seeds, of which the best is kept",
  ),
  maxIterations: z.number().int().min(1).max(1_000).default(DEFAULT_MAX_ITERATIONS).describe(
    "limit of Lloyd's iterations",
  ),
  pcaDimensions: z.number().int().min(1).max(4_096).optional().describe(
    "principal components of a class, after its normalisation, by which it is divided (all dimensions where left out)",
  ),
});
