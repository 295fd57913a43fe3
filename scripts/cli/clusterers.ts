import { ClustererView } from "@subtaxa/contracts";
import type { Effect } from "effect";
import { z } from "zod";
import { ask, type Target } from "./api.ts";
import type { CliError } from "./error.ts";
import { table } from "./words.ts";

export const listClusterers = (target: Target): Effect.Effect<ClustererView[], CliError> =>
  ask(target, "/v1/clusterers", z.array(ClustererView));

/** The part of a parameter's JSON Schema that is told. */
const Parameter = z.looseObject({ description: z.string().optional(), default: z.unknown() });
const Parameters = z.looseObject({ properties: z.record(z.string(), Parameter).default({}) });

const describeParameters = ({ name, parameters }: ClustererView): string[] =>
  Object.entries(Parameters.safeParse(parameters ?? {}).data?.properties ?? {}).map(
    ([key, { description = "", default: value }]) =>
      `  ${name}: ${key} ${description}${value === undefined ? "" : ` (default: ${JSON.stringify(value)})`}`,
  );

/** A table, and below it the parameters that a run may give each. */
export const describeClusterers = (all: readonly ClustererView[]): string => {
  const rows = all.map(({ name, version = "", instances, description = "nobody serves it now" }) => [
    ...[name, version, instances, description],
  ]);
  const parameters = all.flatMap(describeParameters);
  return [
    table(["clusterer", "version", "alive", "how it divides a class"], rows),
    ...(parameters.length > 0 ? ["", "parameters (run --parameters '{…}'):", ...parameters] : []),
  ].join("\n");
};
