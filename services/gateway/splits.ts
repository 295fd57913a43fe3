import type { Manifest, RunRequest } from "@subtaxa/contracts";
import { Effect } from "effect";
import type { ProblemError } from "./api/problem.ts";

/** PLACEHOLDER until @subtaxa/dataset has split */
export const checkSplits = (_manifest: Manifest, _request: RunRequest): Effect.Effect<void, ProblemError> =>
  Effect.void;
