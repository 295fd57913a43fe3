import { z } from "zod";
import { open } from "./open.ts";

/**
 * A content-addressed object in the NATS Object Store. Events carry this reference, never the bytes.
 * `key` is the object's name, `sha256` the lower-case hex digest of its content, `bytes` its length.
 */
export const BlobRef = open(z.object({
  key: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
}));
export type BlobRef = z.infer<typeof BlobRef>;
