import type { BusError } from "@subtaxa/bus";
import { type ClustererAnnouncement, type RunSpec, usesClustering } from "@subtaxa/contracts";
import { Ajv2020, type ErrorObject } from "ajv/2020";
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
const validatorOf = (schema: Schema) => {
  // one per schema: it would remember every `$id` otherwise
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, logger: false });
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
    message: error.keyword === "additionalProperties" && error.instancePath === ""
      ? `there is no such parameter; there are: ${Object.keys(schema.properties ?? {}).join(", ") || "none"}`
      : error.message ?? error.keyword,
  }));
};

/**
 * Events for a clusterer that nobody serves would wait for ever, and the run with them: that is a problem, and so are
 * parameters that don't fit every version that is alive, because any of them may take the next message; with none alive, the
 * last that was. What is left out stays so: the defaults are those of the version that does the work, which says them.
 */
export const checkClusterer = (
  { method, clusterer, parameters }: RunSpec,
): Effect.Effect<void, ProblemError | BusError, Clusterers> =>
  Effect.gen(function* () {
    if (!usesClustering(method)) return;
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
    const latest = instances.length > 0 ? null : yield* last(clusterer);
    // one that has never been seen must check them itself
    for (const { version, parameters: schema } of latest === null ? instances : [latest]) {
      const errors = unfitParameters(schema, parameters);
      if (errors === null) {
        return yield* fieldProblem(
          "unknown-clusterer",
          "clusterer",
          `the clusterer '${clusterer}', version ${version}, announces parameters that are no JSON Schema`,
        );
      }
      if (errors.length === 0) continue;
      const words = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
      return yield* problem("invalid-request", words, { errors });
    }
  });
