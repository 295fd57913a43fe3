import { Kvm } from "@nats-io/kv";
import { JetStreamApiError } from "@nats-io/jetstream";
import { nanos } from "@nats-io/nats-core";
import { Context, Effect, Layer } from "effect";
import { Connection } from "./connection.ts";
import { attempt, type BusError } from "./error.ts";

/** The server's code for a write whose expected revision is not the present one. */
const WRONG_LAST_SEQUENCE = 10071;

/** Small shared facts that are looked up by key rather than replayed. */
export class KeyValue extends Context.Service<KeyValue, {
  get(key: string): Effect.Effect<string | null, BusError>;
  /** Writes the value unless the key exists; returns the value that stands. First writer wins, on every instance. */
  claim(key: string, value: string): Effect.Effect<string, BusError>;
  /** Writes the value in place of whatever stands. */
  put(key: string, value: string): Effect.Effect<void, BusError>;
  remove(key: string): Effect.Effect<void, BusError>;
}>()("subtaxa/bus/KeyValue") {
  /** Entries live for `ttl` milliseconds; 0 = for ever. */
  static readonly layer = (bucket: string, ttl = 0) =>
    Layer.effect(
      KeyValue,
      Effect.gen(function* () {
        const { nc, keep } = yield* Connection;
        const kv = yield* keep({
          what: `the bucket ${bucket}`,
          stream: `KV_${bucket}`,
          make: (replicas) => new Kvm(nc).create(bucket, { ttl, replicas }),
          settings: { max_age: nanos(ttl) },
        });
        const get = (key: string) =>
          attempt(`read ${bucket}/${key}`, async () => {
            const entry = await kv.get(key);
            return entry && entry.operation === "PUT" ? entry.string() : null;
          });
        const create = (key: string, value: string) =>
          attempt(`write ${bucket}/${key}`, () =>
            kv.create(key, value).then(() => true, (cause) => {
              if (cause instanceof JetStreamApiError && cause.code === WRONG_LAST_SEQUENCE) return false;
              throw cause;
            }));
        return KeyValue.of({
          get,
          claim: (key, value) =>
            Effect.gen(function* () {
              while (true) {
                if (yield* create(key, value)) return value;
                const standing = yield* get(key);
                // null: removed or expired between the two calls, so try again
                if (standing !== null) return standing;
              }
            }),
          put: (key, value) => attempt(`write ${bucket}/${key}`, () => kv.put(key, value)),
          remove: (key) => attempt(`remove ${bucket}/${key}`, () => kv.purge(key)),
        });
      }),
    );
}
