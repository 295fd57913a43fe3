import { Bus, type BusError } from "@subtaxa/bus";
import {
  ClustererAnnouncement,
  type ClustererView,
  discoverySubject,
  type RunSpec,
  usesClustering,
} from "@subtaxa/contracts";
import { Ajv2020, type ErrorObject } from "ajv/2020";
import { Effect } from "effect";
import { type FieldError, fieldProblem, problem, type ProblemError } from "./problem.ts";

/** Every instance of every clusterer that is alive, asked now. */
const announcements = Effect.flatMap(
  Bus,
  (bus) => bus.ask(discoverySubject.clusterer, ClustererAnnouncement),
);

/** Names of the clusterers that have a live instance. */
export const aliveClusterers: Effect.Effect<ReadonlySet<string>, BusError, Bus> = Effect.map(
  announcements,
  (all) => new Set(all.map(({ name }) => name)),
);

/** Newest version first. */
const byVersion = (a: ClustererAnnouncement, b: ClustererAnnouncement) =>
  b.version.localeCompare(a.version, "en", { numeric: true });

/** The clusterers that have a consumer or a live instance, by name. */
export const clusterers: Effect.Effect<ClustererView[], BusError, Bus> = Effect.gen(function* () {
  const bus = yield* Bus;
  const [routes, alive] = yield* Effect.all([bus.routes("epoch.validated"), announcements], {
    concurrency: "unbounded",
  });
  const names = [...new Set([...routes, ...alive.map(({ name }) => name)])].sort();
  return names.map((name) => {
    const instances = alive.filter((one) => one.name === name).sort(byVersion);
    const { version, description, parameters } = instances[0] ?? {};
    return {
      name,
      ...(version !== undefined && { version }),
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
      instances: instances.length,
    };
  });
});

const fieldOf = ({ instancePath, params }: ErrorObject): string => {
  const extra = params.additionalProperty ?? params.missingProperty ?? params.unevaluatedProperty;
  const parts = instancePath.split("/").slice(1).map((part) =>
    part.replaceAll("~1", "/").replaceAll("~0", "~")
  );
  return ["parameters", ...parts, ...(extra === undefined ? [] : [String(extra)])].join(".");
};

/** What of the parameters doesn't fit the JSON Schema; null when the schema itself is none. */
export const unfitParameters = (
  schema: ClustererAnnouncement["parameters"],
  parameters: unknown,
): FieldError[] | null => {
  // one validator per schema: it would remember every `$id` otherwise
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, logger: false });
  try {
    const fits = ajv.compile(schema);
    if (fits(parameters)) return [];
    return (fits.errors ?? []).map((error) => ({
      field: fieldOf(error),
      message: error.message ?? error.keyword,
    }));
  } catch {
    return null;
  }
};

/**
 * Events for a clusterer that nobody serves would wait for ever, and the run with them. Its parameters must fit every
 * version that is alive, because any of them may take the next message; those of one that is away it checks itself
 * when it comes.
 */
export const checkClusterer = (
  { method, clusterer, parameters }: RunSpec,
): Effect.Effect<void, ProblemError | BusError, Bus> =>
  Effect.gen(function* () {
    if (!usesClustering(method)) return;
    const known = yield* (yield* Bus).routes("epoch.validated");
    if (!known.includes(clusterer)) {
      return yield* fieldProblem(
        "unknown-clusterer",
        "clusterer",
        `no clusterer named '${clusterer}' is known here; ` +
          (known.length === 0 ? "there is none: start one first" : `there are: ${known.join(", ")}`),
      );
    }
    if (Object.keys(parameters).length === 0) return;
    // in whatever order they answer, the newest is what a caller is told first
    for (const { name, version, parameters: schema } of [...yield* announcements].sort(byVersion)) {
      if (name !== clusterer) continue;
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
  });
