import { Problem } from "@subtaxa/contracts";
import { Effect, Schedule, Stream } from "effect";
import { type EventSourceMessage, EventSourceParserStream } from "eventsource-parser/stream";
import type { z } from "zod";
import { CliError } from "./error.ts";

export interface Target {
  /** The gateway's address, without a slash at its end. */
  readonly url: string;
  readonly token?: string | undefined;
}

/** A refusal as one sentence per fact; fields that the detail doesn't name yet get a line each. */
export const describeProblem = ({ title, detail, errors = [] }: Problem): string => {
  const unnamed = errors.filter(({ message }) => !detail.includes(message));
  return [`${title}: ${detail}`, ...unnamed.map(({ field, message }) => `  ${field}: ${message}`)].join("\n");
};

/** The last part of what `fetch` says at length: `Connection refused (os error 111)`. */
const briefly = (cause: unknown): string =>
  cause instanceof Error && cause.cause !== undefined
    ? briefly(cause.cause)
    : (cause instanceof Error ? cause.message : String(cause)).split(": ").at(-1) ?? "";

const unreachable = ({ url }: Target, cause: unknown): CliError =>
  new CliError({
    reason: { _tag: "Unreachable", url },
    message: `nothing answers at ${url} (${briefly(cause)}): ` +
      `start Subtaxa with "subtaxa up", or name its address with --url or SUBTAXA_PORT`,
  });

const broken = ({ url }: Target, cause: unknown): CliError =>
  new CliError({
    reason: { _tag: "Broken", url },
    message: `the connection to ${url} broke off (${briefly(cause)}): try again`,
  });

const unintelligible = (url: string, detail: string): CliError =>
  new CliError({
    reason: { _tag: "Unintelligible", url },
    message: `what answers at ${url} is no Subtaxa of this version (${detail})`,
  });

const refusal = (response: Response, target: Target): Effect.Effect<never, CliError> =>
  Effect.promise(() => response.text()).pipe(
    Effect.flatMap((text) => Effect.try({ try: (): unknown => JSON.parse(text), catch: () => undefined })),
    Effect.orElseSucceed(() => undefined),
    Effect.flatMap((body) => {
      const { status } = response;
      const problem = Problem.safeParse(body);
      const refused = (message: string) =>
        Effect.fail(new CliError({ reason: { _tag: "Refused", status }, message }));
      if (problem.success) {
        const hint = status === 401 ? "; give the token with --token or SUBTAXA_TOKEN" : "";
        return refused(describeProblem(problem.data) + hint);
      }
      // A gateway, or a proxy before it, that takes no requests yet may say so in its own words.
      return status === 503
        ? refused(`what answers at ${target.url} is not ready yet (status 503): try again in a moment`)
        : Effect.fail(unintelligible(target.url, `status ${status}`));
    }),
  );

/** The response to a request; a refusal is an error. */
export const request = (
  target: Target,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Effect.Effect<Response, CliError> =>
  Effect.tryPromise({
    try: (signal) =>
      fetch(`${target.url}${path}`, {
        method: init.method ?? "GET",
        headers: {
          ...init.headers,
          ...(target.token ? { authorization: `Bearer ${target.token}` } : {}),
          ...(init.body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
        signal,
      }),
    catch: (cause) => unreachable(target, cause),
  }).pipe(
    Effect.flatMap((response) => (response.ok ? Effect.succeed(response) : refusal(response, target))),
  );

/** Asks and parses the answer. */
export const ask = <S extends z.ZodType>(
  target: Target,
  path: string,
  schema: S,
  init: { method?: string; body?: unknown } = {},
): Effect.Effect<z.output<S>, CliError> =>
  Effect.gen(function* () {
    const response = yield* request(target, path, init);
    const body = yield* Effect.tryPromise({
      try: (): Promise<unknown> => response.json(),
      catch: () => unintelligible(target.url, `${path} is no JSON`),
    });
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    return yield* unintelligible(target.url, `${path}: ${parsed.error.issues[0]?.message}`);
  });

/** Server-Sent Events from after `lastEventId`, as long as the connection holds; empty when there is nothing left. */
export const serverEvents = (
  target: Target,
  path: string,
  lastEventId?: string,
): Stream.Stream<EventSourceMessage, CliError> =>
  Stream.unwrap(Effect.map(
    request(target, path, {
      headers: { accept: "text/event-stream", ...(lastEventId ? { "last-event-id": lastEventId } : {}) },
    }),
    ({ body }) =>
      body
        ? Stream.fromReadableStream({
          evaluate: () =>
            body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()),
          onError: (cause) => broken(target, cause),
        })
        : Stream.empty,
  ));

/** Tries again for a minute while the gateway can't be reached or is still starting. */
const patiently = <A>(effect: Effect.Effect<A, CliError>): Effect.Effect<A, CliError> =>
  effect.pipe(
    Effect.retry({
      schedule: Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "1 minute" })),
      while: ({ retryable }) => retryable,
    }),
  );

/**
 * Asks how something stands until it is over, each time after having followed its `events`. The gateway may be away for a
 * minute, as often as it likes: once it has answered, the minute begins anew, however its answer ends.
 */
export const untilOver = <A>(
  state: Effect.Effect<A, CliError>,
  isOver: (state: A) => boolean,
  events: Effect.Effect<void, CliError> = Effect.void,
): Effect.Effect<A, CliError> =>
  patiently(events.pipe(Effect.catchIf(({ reason }) => reason._tag === "Broken", () => Effect.void))).pipe(
    Effect.andThen(patiently(state)),
    Effect.repeat({ schedule: Schedule.spaced("1 second"), until: isOver }),
  );
