import { z } from "zod";
import { Name } from "./run.ts";

/** Progress within a step, over core NATS: may be lost, nothing depends on it. */
export const RunProgress = z.object({
  runId: Name,
  fold: z.number().int(),
  epoch: z.number().int(),
  step: z.enum(["backbone", "train", "validate", "extract", "cluster", "score"]),
  /** Units of work done and to do: batches, or classes when clustering. */
  done: z.number().int(),
  total: z.number().int(),
  /** Mean training loss of the epoch so far. */
  loss: z.number().optional(),
  imagesPerSecond: z.number().optional(),
  /** Seconds left in this step. */
  secondsLeft: z.number().optional(),
  /** Classes being clustered or divided into more than one sub-class at present. */
  splitting: z.array(z.string()).optional(),
  /**
   * Where a step is spread over instances: `done` is this shard's, `total` the whole step's; `images` is the number of images in a
   * unit. The gateway adds the shards up.
   */
  part: z.object({ shard: z.number().int(), instance: z.string(), images: z.number().int() }).optional(),
});
export type RunProgress = z.infer<typeof RunProgress>;

export const DatasetProgress = z.object({
  dataset: Name,
  done: z.number().int(),
  total: z.number().int(),
  rejected: z.number().int(),
});
export type DatasetProgress = z.infer<typeof DatasetProgress>;

export const progressSubject = {
  run: (runId: string): string => `progress.run.${runId}`,
  dataset: (name: string): string => `progress.dataset.${name}`,
};
