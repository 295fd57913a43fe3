import { JetStreamApiError } from "@nats-io/jetstream";
import { Duration, Effect, Schedule } from "effect";
import { BusError } from "./error.ts";

/**
 * What a cluster answers that is still forming, or has lost a leader (the server's error codes): results are incomplete, no
 * suitable peers, temporarily unavailable, not the leader, insufficient resources (of peers that haven't been heard of yet),
 * the stream or the consumer is offline.
 */
const FORMING = new Set([10004, 10005, 10008, 10009, 10023, 10118, 10119]);

/** Whether NATS may do the same in a moment. What waiting can't mend: credentials, a server without JetStream, a closed connection. */
export const mayPass = ({ reason, cause }: BusError): boolean =>
  cause instanceof JetStreamApiError
    ? FORMING.has(cause.code)
    : reason._tag === "Unreachable" && cause instanceof Error;

/** A step of starting, repeated while NATS isn't ready for it. */
export type UntilReady = <A, R>(step: Effect.Effect<A, BusError, R>) => Effect.Effect<A, BusError, R>;

/**
 * Makes steps wait for NATS, each for `limit` at most: the service may have been started first, its servers may not have
 * found each other yet or have lost their leader. Says what it waits for.
 */
export const untilReady = (
  { address, replicas, limit }: {
    readonly address: string;
    readonly replicas: number;
    readonly limit: Duration.Duration;
  },
): UntilReady =>
(step) =>
  Effect.suspend(() => {
    let last: BusError | undefined;
    const inVain = () =>
      new BusError({
        reason: { _tag: "NotReady", seconds: Duration.toSeconds(limit) },
        message: `NATS at ${address} was not ready within ${Duration.format(limit)}` +
          `${
            last ? `: ${last.message}` : ""
          }. Start it, of a cluster a majority of the servers and at least ` +
          `SUBTAXA_REPLICAS (${replicas}) of them, see that NATS_URL leads there, or wait longer with SUBTAXA_NATS_WAIT`,
        cause: last,
      });
    return step.pipe(
      Effect.tapError((error) => {
        if (!mayPass(error)) return Effect.void;
        last = error;
        return Effect.logWarning(`waiting for NATS: ${error.message}`);
      }),
      Effect.retry({
        while: mayPass,
        schedule: Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]),
      }),
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(inVain()) }),
      Effect.tap(() => last ? Effect.logInfo("no longer waiting for NATS") : Effect.void),
    );
  });
