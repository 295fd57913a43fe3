/** Holds any running clusterer to the contract. */
export { type Examination, examine, type Verdict } from "./examine.ts";
export { main, startOf } from "./program.ts";
