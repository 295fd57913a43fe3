/** A run as its event log tells it: the view for the API, the ordered log, results and tables. */
export * from "./csv.ts";
export { RunLogError } from "./error.ts";
export * from "./log.ts";
export { project, projectAll, type Projection, withProgress } from "./project.ts";
export * from "./results.ts";
export * from "./synthetic.ts";
