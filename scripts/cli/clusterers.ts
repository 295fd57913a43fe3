import { ClustererView, type RunView } from "@subtaxa/contracts";
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

/** The versions that are alive; with none alive, the last that was. */
export const versionsOf = ({ version = "", instances, versions }: ClustererView) =>
  instances > 0 ? versions : [{ version, instances: 0 }];

const absence = ({ description }: ClustererView): string =>
  description === undefined ? "nobody serves it now" : `${description} (nobody serves it now)`;

/** Who divides a run's classes: `xmeans 1.0.0, 1.1.0`; empty where nobody does. */
export const clustererOf = ({ clusterer }: RunView): string =>
  clusterer ? `${clusterer.name} ${clusterer.versions.join(", ")}`.trimEnd() : "";

/** A table, and below it the parameters that a run may give each. */
export const describeClusterers = (all: readonly ClustererView[]): string => {
  const rows = all.flatMap((view) =>
    versionsOf(view).map(({ version, instances }) => [
      ...[view.name, version, instances],
      view.instances > 0 ? view.description ?? "" : absence(view),
    ])
  );
  const parameters = all.flatMap(describeParameters);
  return [
    table(["clusterer", "version", "alive", "how it divides a class"], rows),
    ...(parameters.length > 0 ? ["", "parameters (run --parameters '{…}'):", ...parameters] : []),
  ].join("\n");
};
