/** NATS JetStream: facts published once, durable consumers, dead letters, key-value and content-addressed blobs. */
export { Blobs, BUCKET, optionalFile } from "./blobs.ts";
export { Bus, type Fact } from "./bus.ts";
export { readIntact, scratchFileIn } from "./cache.ts";
export { Connection, DEAD, EXHAUSTED, FACTS } from "./connection.ts";
export {
  consume,
  type ConsumeOptions,
  DeliveryConfig,
  type Handler,
  type Outcome,
  registerConsumer,
  type Settled,
} from "./consume.ts";
export { reconcileExhausted } from "./dead_letters.ts";
export { BusError, type BusReason } from "./error.ts";
export { deadLetters, type Lag, lagOfConsumer, lags } from "./lag.ts";
export { KeyValue } from "./kv.ts";
export { type NatsServer, startNatsServer } from "./server.ts";
export { isNewEnough, OLDEST_SERVER } from "./server_version.ts";
