/** What tests may use of this service. */
export type { ExtractorWork } from "./worker.ts";
