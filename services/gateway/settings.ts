import { ServiceConfig } from "@subtaxa/service";
import { Config, Context, Duration, Effect, Layer, Redacted } from "effect";
import { realpath } from "node:fs/promises";
import { isAbsolute, relative, resolve } from "node:path";
import { GatewayError } from "./error.ts";

/** Whether only this machine reaches the host; an IPv6 address without brackets. */
export const isLoopback = (host: string) =>
  host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);

/** Whether `path` is `folder` or lies below it; both absolute. */
export const isWithin = (folder: string, path: string): boolean => {
  const way = relative(folder, path);
  return way === "" || (!isAbsolute(way) && way.split("/")[0] !== "..");
};

/** What the gateway reads from its environment besides the settings of every service. */
export class Settings extends Context.Service<Settings, {
  /** Folders that imports may read, absolute, symbolic links resolved; those that don't exist are left out. */
  readonly dataRoots: readonly string[];
  /** Every call of the API must carry it, when set. */
  readonly token: string | null;
  /** How long a run waits for a clusterer of which no instance is alive. */
  readonly clustererTimeout: Duration.Duration;
}>()("subtaxa/gateway/Settings") {
  /** Reads `SUBTAXA_DATA_ROOTS`, `SUBTAXA_TOKEN`, `SUBTAXA_HOST`, `SUBTAXA_CLUSTERER_TIMEOUT`. */
  static readonly layer = Layer.effect(
    Settings,
    Effect.gen(function* () {
      const { host } = yield* ServiceConfig;
      const { roots, token, clustererTimeout } = yield* Config.all({
        roots: Config.String("SUBTAXA_DATA_ROOTS").pipe(Config.withDefault(".:../shared")),
        clustererTimeout: Config.Duration("SUBTAXA_CLUSTERER_TIMEOUT").pipe(
          Config.withDefault(Duration.minutes(10)),
        ),
        token: Config.Redacted("SUBTAXA_TOKEN").pipe(Config.withDefault(Redacted.make(""))),
      });
      const secret = Redacted.value(token).trim();
      if (secret === "" && !isLoopback(host)) {
        return yield* new GatewayError({
          reason: { _tag: "Unguarded", host },
          message:
            `SUBTAXA_HOST is ${host}, so others can reach the API, but SUBTAXA_TOKEN is not set: set it to a secret, ` +
            "or listen on 127.0.0.1",
        });
      }
      const dataRoots = yield* Effect.promise(() =>
        Promise.all(
          roots.split(":").filter((root) => root !== "")
            .map((root) => realpath(resolve(root)).then((path) => [path], () => [])),
        )
      );
      return Settings.of({
        dataRoots: dataRoots.flat(),
        token: secret === "" ? null : secret,
        clustererTimeout,
      });
    }),
  );
}
