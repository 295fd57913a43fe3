import type { JetStreamManager, StreamUpdateConfig } from "@nats-io/jetstream";
import { PermissionViolationError } from "@nats-io/nats-core";
import { Effect, Option } from "effect";
import { isDeepStrictEqual } from "node:util";
import { attempt, type BusError } from "./error.ts";

/**
 * Makes what keeps messages in NATS, a stream or what is built on one (a bucket), and gives the `stream` these settings where
 * it is there with others. Says what it has changed, or may not.
 */
export type Keep = <A>(
  step: {
    readonly what: string;
    readonly stream: string;
    /** Leaves what is there as it is. */
    readonly make: (replicas: number) => Promise<A>;
    readonly settings?: Partial<StreamUpdateConfig>;
  },
) => Effect.Effect<A, BusError>;

/** `replicas`: as many copies as the environment asks for; where it doesn't, existing streams keep what they have. */
export const keepIn = (
  jsm: JetStreamManager,
  replicas: Option.Option<number>,
): Keep =>
({ what, stream, make, settings = {} }) =>
  Effect.gen(function* () {
    const made = yield* attempt(`create ${what}`, () => make(Option.getOrElse(replicas, () => 1)));
    const { config } = yield* attempt(`look up ${what}`, () => jsm.streams.info(stream));
    const wanted = { ...settings, ...(Option.isSome(replicas) && { num_replicas: replicas.value }) };
    const changed = Object.fromEntries(
      Object.entries(wanted).filter(([key, value]) =>
        !isDeepStrictEqual(config[key as keyof typeof config], value)
      ),
    );
    if (Object.keys(changed).length === 0) return made;
    yield* attempt(`change ${what}`, () => jsm.streams.update(stream, changed)).pipe(
      Effect.andThen(Effect.logInfo(`changed ${what}: ${JSON.stringify(changed)}`)),
      // it serves as it is, and another service may be allowed to
      Effect.catchIf(
        ({ cause }) => cause instanceof PermissionViolationError,
        ({ message }) => Effect.logWarning(`${message}: it stays without ${JSON.stringify(changed)}`),
      ),
    );
    return made;
  });
