import { DeliveryConfig } from "@subtaxa/bus";
import { ServiceConfig } from "@subtaxa/service";
import { Config, ConfigProvider, Duration, Effect, Schedule } from "effect";
import { isIP } from "node:net";
import { StackError } from "./error.ts";

type Environment = Readonly<Record<string, string>>;

const isPort = (port: number): boolean => port >= 0 && port <= 65_535;

/** What the services read, with the limits that its types don't tell. */
const parse = (env: Environment) =>
  Config.all({ service: ServiceConfig, delivery: DeliveryConfig }).parse(ConfigProvider.fromUnknown(env))
    .pipe(
      Effect.filterOrFail(
        ({ service: { port }, delivery: { ackWait, maxDeliver } }) =>
          isPort(port) && maxDeliver >= 1 && Duration.isFinite(ackWait) && Duration.toMillis(ackWait) > 0,
      ),
    );

/** The variables that may be malformed, and what each is to be. */
const expected = {
  SUBTAXA_PORT: "a port from 0 to 65535",
  SUBTAXA_ACK_WAIT: `a time such as "30 seconds"`,
  SUBTAXA_MAX_DELIVER: "a whole number from 1 on",
  SUBTAXA_LOG_LEVEL: "All, Trace, Debug, Info, Warn, Error, Fatal or None",
};

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/**
 * Fails with the first setting that would keep a service from starting, so that nothing is started in vain; else the
 * interface and port of the gateway.
 */
export const checkSettings = (
  env: Environment,
): Effect.Effect<{ readonly host: string; readonly port: number }, StackError> =>
  Effect.gen(function* () {
    // each by itself, which tells whose fault it is
    for (const [name, what] of Object.entries(expected)) {
      const value = env[name] ?? "";
      yield* parse(value === "" ? {} : { [name]: value }).pipe(
        Effect.mapError(() => StackError.of({ _tag: "BadSetting", name, value, expected: what })),
      );
    }
    const host = env.SUBTAXA_HOST || "127.0.0.1";
    if (!isLoopback(host) && !env.SUBTAXA_TOKEN?.trim()) {
      return yield* StackError.of({ _tag: "Unguarded", host });
    }
    return { host, port: Number(env.SUBTAXA_PORT || 8080) };
  });

/** Waits up to three seconds until something accepts connections at the address of a NATS server. */
export const reachNats = (natsUrl: string): Effect.Effect<void, StackError> =>
  Effect.gen(function* () {
    const { hostname, port } = yield* Effect.try({
      try: () => new URL(natsUrl.includes("://") ? natsUrl : `nats://${natsUrl}`),
      catch: () =>
        StackError.of({
          _tag: "BadSetting",
          name: "NATS_URL",
          value: natsUrl,
          expected: "an address such as nats://127.0.0.1:4222",
        }),
    });
    const at = { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 4222) };
    // without user and password, which the address may hold
    const silent = StackError.of({ _tag: "NatsSilent", address: `${hostname}:${at.port}` });
    yield* Effect.tryPromise({
      try: async (signal) => (await Deno.connect({ ...at, signal })).close(),
      catch: () => silent,
    }).pipe(
      Effect.retry(Schedule.spaced("250 millis")),
      Effect.timeoutOrElse({ duration: "3 seconds", orElse: () => Effect.fail(silent) }),
    );
  });
