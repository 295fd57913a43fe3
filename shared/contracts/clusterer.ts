import { z } from "zod";
import { CONTRACT_VERSION } from "./events.ts";
import { ClustererName } from "./run.ts";

/** Where everyone who serves in some role is asked to announce itself: NATS request, one reply per instance. */
export const discoverySubject = { clusterer: "discover.clusterer" };

const JsonSchema = z.record(z.string(), z.unknown());

/** What one instance of a clusterer answers on `discover.clusterer`, also while it works. */
export const ClustererAnnouncement = z.object({
  v: z.literal(CONTRACT_VERSION),
  /** The name that runs ask for: the route of its messages. */
  name: ClustererName,
  version: z.string().min(1).max(64),
  /** Differs between the instances that are alive. */
  instance: z.string().min(1).max(128),
  /** How it divides a class, in a sentence. */
  description: z.string().max(2_000),
  /** JSON Schema (draft 2020-12) of an object: what a run's `parameters` may be. */
  parameters: JsonSchema,
});
export type ClustererAnnouncement = z.infer<typeof ClustererAnnouncement>;

/** A clusterer as the API shows it. */
export const ClustererView = z.object({
  name: ClustererName,
  version: z.string().optional().describe(
    "the newest that is alive, as are description and parameters; with no instance alive, those of the last one that " +
      "was; absent where none has ever been seen",
  ),
  description: z.string().optional(),
  parameters: JsonSchema.optional().describe("JSON Schema of a run's `parameters`"),
  instances: z.number().int().min(0).describe("how many are alive"),
  versions: z.array(z.object({ version: z.string(), instances: z.number().int().min(1) }))
    .describe("those that are alive, newest first"),
});
export type ClustererView = z.infer<typeof ClustererView>;
