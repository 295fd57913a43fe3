import type { BusError } from "@subtaxa/bus";
import type { Failure } from "@subtaxa/contracts";
import { Problem } from "@subtaxa/contracts";
import { Data } from "effect";
import { STATUS_CODES } from "node:http";
import type { z } from "zod";

export const PROBLEM_TYPE = "application/problem+json";

/** What is wrong with a request, by the last part of the problem's `type`; `status` is the HTTP status. */
export const problems = {
  "malformed-json": { status: 400, title: "The body is no JSON" },
  "unauthorized": { status: 401, title: "The token is missing or wrong" },
  "foreign-host": { status: 403, title: "The gateway isn't known by this name" },
  "cross-site": { status: 403, title: "Other sites may not change anything here" },
  "unknown-route": { status: 404, title: "There is nothing at this address" },
  "unknown-dataset": { status: 404, title: "There is no such dataset" },
  "unknown-run": { status: 404, title: "There is no such run" },
  "method-not-allowed": { status: 405, title: "This address doesn't know the method" },
  "dataset-busy": { status: 409, title: "The dataset is being imported" },
  "dataset-failed": { status: 409, title: "The dataset can't be used" },
  "run-ended": { status: 409, title: "The run has ended" },
  "no-result": { status: 409, title: "The run has no such result" },
  "result-lost": { status: 410, title: "The result was deleted" },
  "body-too-large": { status: 413, title: "The body is too large" },
  "unsupported-type": { status: 415, title: "The body has an unsupported type" },
  "invalid-request": { status: 422, title: "The request doesn't fit its schema" },
  "path-not-importable": { status: 422, title: "The path can't be read" },
  "unknown-clusterer": { status: 422, title: "There is no such clusterer" },
  "unusable-weights": { status: 422, title: "The network can't start from these weights" },
  "impossible-split": { status: 422, title: "The dataset is too small for this run" },
  "too-many-classes": { status: 422, title: "The dataset has too many classes" },
  "key-reused": { status: 422, title: "The Idempotency-Key belongs to another request" },
  "internal": { status: 500, title: "Something unexpected happened" },
  "weights-not-fetched": { status: 503, title: "The weights could not be fetched" },
  "unavailable": { status: 503, title: "A part that is needed can't be reached" },
} as const satisfies Record<string, { status: number; title: string }>;
export type ProblemKind = keyof typeof problems;
export type FieldError = NonNullable<Problem["errors"]>[number];

/** A request that can't be done, as it is answered (RFC 9457). */
export class ProblemError extends Data.TaggedError("ProblemError")<{
  readonly reason: { readonly _tag: ProblemKind };
  readonly message: string;
  readonly errors?: readonly FieldError[];
  /** Headers of the answer, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
}> implements Failure {
  get retryable(): boolean {
    return problems[this.reason._tag].status >= 500;
  }
}

export const problem = (
  kind: ProblemKind,
  message: string,
  more: { errors?: readonly FieldError[]; headers?: Record<string, string> } = {},
): ProblemError => new ProblemError({ reason: { _tag: kind }, message, ...more });

/** What may be there again in a moment. */
export const unavailable = (message: string): ProblemError =>
  problem("unavailable", message, { headers: { "retry-after": "5" } });

/** One field of the request is wrong, for a reason that its schema can't know. */
export const fieldProblem = (kind: ProblemKind, field: string, message: string): ProblemError =>
  problem(kind, `${field}: ${message}`, { errors: [{ field, message }] });

/** The answer to a request that can't be done; `requestId` finds it in the log. */
export const problemResponse = (error: ProblemError, requestId: string): Response => {
  const { status, title } = problems[error.reason._tag];
  const body: Problem = {
    type: `urn:subtaxa:problem:${error.reason._tag}`,
    title,
    status,
    detail: error.message,
    instance: `urn:uuid:${requestId}`,
    ...(error.errors ? { errors: [...error.errors] } : {}),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...error.headers, "content-type": PROBLEM_TYPE },
  });
};

/** The path of a field as one would write it: `classes[2].name`. */
const fieldOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (name, part) =>
      typeof part === "number" ? `${name}[${part}]` : name ? `${name}.${String(part)}` : String(part),
    "",
  );

/** Every field that a schema found wrong; an unknown field is named itself. */
export const fieldErrors = (error: z.core.$ZodError): FieldError[] =>
  error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({ field: fieldOf([...issue.path, key]), message: "there is no such field" }))
      : [{ field: fieldOf(issue.path) || "(body)", message: issue.message }]
  );

export const invalidRequest = (error: z.core.$ZodError): ProblemError => {
  const errors = fieldErrors(error);
  return problem("invalid-request", errors.map(({ field, message }) => `${field}: ${message}`).join("; "), {
    errors,
  });
};

/** What NATS or the cache could not do, as the answer to a request that needed it. */
export const ofBusError = (error: BusError): ProblemError => {
  if (error.reason._tag === "BlobMissing") return problem("result-lost", error.message);
  return error.retryable ? unavailable(error.message) : problem("internal", error.message);
};

/** The responses of a route for its problems, for the API's description. */
export const problemResponses = (...kinds: ProblemKind[]) => {
  const of = (status: number) => kinds.filter((kind) => problems[kind].status === status);
  return Object.fromEntries(
    [...new Set(kinds.map((kind) => problems[kind].status))].sort().map((status) => [status, {
      description: `${STATUS_CODES[status]}: ${of(status).join(", ")}`,
      content: { [PROBLEM_TYPE]: { schema: ProblemSchema } },
    }]),
  );
};
const ProblemSchema = Problem.meta({ id: "Problem" });
