/** What tests may use of this service. */
export type { EvaluatorWork } from "./worker.ts";
