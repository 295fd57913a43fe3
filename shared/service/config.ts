import { Config } from "effect";

/** What every service reads from its environment besides the bus's own settings. README documents the names. */
export const ServiceConfig = Config.all({
  /** Interface to listen on. */
  host: Config.String("SUBTAXA_HOST").pipe(Config.withDefault("127.0.0.1")),
  /** Port of a service without an API, for probes and metrics; 0 takes a free one. */
  probePort: Config.Int("SUBTAXA_PROBE_PORT").pipe(Config.withDefault(0)),
  /** Port of the gateway. */
  port: Config.Int("SUBTAXA_PORT").pipe(Config.withDefault(8080)),
  logLevel: Config.LogLevel("SUBTAXA_LOG_LEVEL").pipe(Config.withDefault("Info" as const)),
  /** Create what waits for this service's messages in NATS, and end: for a service that is scaled to zero. */
  registerOnly: Config.Boolean("SUBTAXA_REGISTER_ONLY").pipe(Config.withDefault(false)),
  /** Set by `up`: stop when standard input closes, so that no service outlives the process that started it. */
  stopWithParent: Config.Boolean("SUBTAXA_STOP_WITH_PARENT").pipe(Config.withDefault(false)),
});
