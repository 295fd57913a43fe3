import type { Failure } from "@subtaxa/contracts";
import { Data, Effect } from "effect";
import { z } from "zod";

/** A run asks a clusterer for settings that it doesn't have. */
export class ParametersError extends Data.TaggedError("ParametersError")<{
  readonly reason: { readonly _tag: "Unfit"; readonly clusterer: string };
  readonly message: string;
}> implements Failure {
  readonly retryable = false;
}

/** A run's `parameters` with the defaults of what is left out; fails when they are not what the clusterer announced. */
export const checkParameters = (
  schema: z.ZodObject,
  clusterer: string,
  parameters: unknown,
): Effect.Effect<Readonly<Record<string, unknown>>, ParametersError> => {
  const { error, data } = schema.safeParse(parameters);
  if (!error) return Effect.succeed(data);
  return Effect.fail(
    new ParametersError({
      reason: { _tag: "Unfit", clusterer },
      message: `the clusterer '${clusterer}' can't work with the run's parameters: ${
        z.prettifyError(error).replaceAll(/\s*\n\s*/g, " ")
      }`,
    }),
  );
};
