/** A run as its event log tells it: the view for the API, the ordered log, results and tables. */
export * from "./csv.ts";
export { RunLogError } from "./error.ts";
export * from "./log.ts";
export {
  type Awaited,
  awaited,
  project,
  projectAll,
  type Projection,
  withAbsent,
  withProgress,
} from "./project.ts";
export * from "./results.ts";
export { addUp, progressIn, type Tally } from "./tally.ts";
