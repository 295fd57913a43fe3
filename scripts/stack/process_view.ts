import { z } from "zod";

/** One process that `up` started (`ps --json`). */
export const ProcessView = z.object({
  service: z.string(),
  pid: z.number().int(),
  port: z.number().int(),
  state: z.enum(["starting", "ready", "stopped"]),
});
export type ProcessView = z.infer<typeof ProcessView>;
