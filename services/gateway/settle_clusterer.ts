import type { BusError } from "@subtaxa/bus";
import { type ClustererAnnouncement, type RunSpec, usesClustering } from "@subtaxa/contracts";
import { Ajv2020, type ErrorObject, type Options } from "ajv/2020";
import { Effect } from "effect";
import { Clusterers } from "./clusterers.ts";
import { type FieldError, fieldProblem, problem, type ProblemError } from "./problem.ts";

type Schema = ClustererAnnouncement["parameters"];

const fieldOf = ({ instancePath, params }: ErrorObject): string => {
  const extra = params.additionalProperty ?? params.missingProperty ?? params.unevaluatedProperty;
  const parts = instancePath.split("/").slice(1).map((part) =>
    part.replaceAll("~1", "/").replaceAll("~0", "~")
  );
  return ["parameters", ...parts, ...(extra === undefined ? [] : [String(extra)])].join(".");
};

/** Null when the schema is none. */
const validatorOf = (schema: Schema, options: Options = {}) => {
  // one per schema: it would remember every `$id` otherwise
  const ajv = new Ajv2020({
    allErrors: true,
    strict: false,
    validateFormats: false,
    logger: false,
    ...options,
  });
  try {
    return ajv.compile(schema);
  } catch {
    return null;
  }
};

/** What of the parameters doesn't fit the JSON Schema; null when the schema itself is none. */
export const unfitParameters = (schema: Schema, parameters: unknown): FieldError[] | null => {
  const fits = validatorOf(schema);
  if (!fits) return null;
  if (fits(parameters)) return [];
  return (fits.errors ?? []).map((error) => ({
    field: fieldOf(error),
    message: error.message ?? error.keyword,
  }));
};

/** The parameters, and the schema's defaults for what is left out. */
export const withDefaults = (schema: Schema, parameters: RunSpec["parameters"]): RunSpec["parameters"] => {
  const filled = structuredClone(parameters);
  validatorOf(schema, { useDefaults: true })?.(filled); // which adds them
  return filled;
};

/**
 * The settings with all the clusterer's parameters written out, so that the run says what it was made with. They must fit
 * every version that is alive, because any of them may take the next message; with none alive, the last that was. The
 * defaults are the newest version's, and left to each where another version would not take them. Events for a clusterer that
 * nobody serves would wait for ever, and the run with them: that is a problem too.
 */
export const settleClusterer = (
  spec: RunSpec,
): Effect.Effect<RunSpec, ProblemError | BusError, Clusterers> =>
  Effect.gen(function* () {
    const { method, clusterer, parameters } = spec;
    if (!usesClustering(method)) return spec;
    const { alive, last, known } = yield* Clusterers;
    const names = yield* known;
    if (!names.includes(clusterer)) {
      return yield* fieldProblem(
        "unknown-clusterer",
        "clusterer",
        `no clusterer named '${clusterer}' is known here; ` +
          (names.length === 0 ? "there is none: start one first" : `there are: ${names.join(", ")}`),
      );
    }
    const instances = (yield* alive).filter(({ name }) => name === clusterer);
    const versions = instances.length > 0
      ? instances
      : [yield* last(clusterer)].filter((one) => one !== null);
    const [newest] = versions;
    if (!newest) return spec; // it has never been seen, so it must check them itself
    const filled = withDefaults(newest.parameters, parameters);
    const fits = ({ parameters: schema }: typeof newest) => unfitParameters(schema, filled)?.length === 0;
    if (versions.every(fits)) return { ...spec, parameters: filled };
    for (const { version, parameters: schema } of versions) {
      const errors = unfitParameters(schema, parameters);
      if (errors?.length === 0) continue;
      if (errors) {
        const words = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
        return yield* problem("invalid-request", words, { errors });
      }
      return yield* fieldProblem(
        "unknown-clusterer",
        "clusterer",
        `the clusterer '${clusterer}', version ${version}, announces parameters that are no JSON Schema`,
      );
    }
    return spec;
  });
