import type { ConsumerInfo } from "@nats-io/jetstream";
import { Effect } from "effect";
import { Connection, DEAD, FACTS } from "./connection.ts";
import { attempt, type BusError } from "./error.ts";

/** How far a durable consumer is behind. */
export interface Lag {
  readonly consumer: string;
  /** Messages that no instance has been given yet. */
  readonly pending: number;
  /** Messages that an instance was given and has not settled. */
  readonly ackPending: number;
  /** Requests for a message that wait at the server: idle instances, that is. */
  readonly waiting: number;
}

const lagOf = ({ name, num_pending, num_ack_pending, num_waiting }: ConsumerInfo): Lag => ({
  consumer: name,
  pending: num_pending,
  ackPending: num_ack_pending,
  waiting: num_waiting,
});

/** The lag of one durable consumer of the facts. */
export const lagOfConsumer = (durable: string): Effect.Effect<Lag, BusError, Connection> =>
  Effect.flatMap(
    Connection,
    ({ jsm }) => attempt(`look at the consumer ${durable}`, () => jsm.consumers.info(FACTS, durable)),
  ).pipe(
    Effect.map(lagOf),
  );

/** The lag of every durable consumer of the facts, also of those whose service runs nowhere at present. */
export const lags: Effect.Effect<readonly Lag[], BusError, Connection> = Effect.flatMap(
  Connection,
  ({ jsm }) => attempt("list the consumers", () => Array.fromAsync(jsm.consumers.list(FACTS))),
).pipe(
  Effect.map((all) => all.filter(({ config }) => config.durable_name !== undefined).map(lagOf)),
);

/** Number of messages in the dead-letter stream. */
export const deadLetters: Effect.Effect<number, BusError, Connection> = Effect.flatMap(
  Connection,
  ({ jsm }) => attempt("look at the dead letters", () => jsm.streams.info(DEAD)),
).pipe(Effect.map(({ state }) => state.messages));
