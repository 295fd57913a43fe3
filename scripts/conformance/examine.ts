import { Blobs, Bus, type BusError, Connection, startNatsServer } from "@subtaxa/bus";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Duration, Effect, Layer, Schedule, Scope } from "effect";
import { join } from "node:path";
import { type Bench, makeBench, STREAM } from "./bench.ts";
import { announcementOf, behaviour, type Check } from "./checks.ts";
import { type ConformanceError, setup } from "./error.ts";
import { startCommand, type Started } from "./process.ts";
import { restarts, trouble } from "./trouble.ts";

export interface Examination {
  /** The clusterer's route. */
  readonly name: string;
  /** A NATS server where nothing else is at work; null: one is started. */
  readonly url: string | null;
  /** Command line that starts the candidate with `NATS_URL` in its environment; null: it runs, or will. */
  readonly start: string | null;
  /** Seconds that every answer may take. */
  readonly patience: number;
  readonly onVerdict: (verdict: Verdict) => void;
  readonly onNote: (note: string) => void;
}

export interface Verdict {
  readonly check: string;
  readonly passed: boolean;
  readonly remark: string;
}

/** Other services would act on the facts of the examination. */
const mustBeAlone = (bench: Bench) =>
  Effect.gen(function* () {
    const { jsm, name } = bench;
    const others = yield* Effect.promise(async () => {
      const all = await Array.fromAsync(jsm.consumers.list(STREAM));
      return all.filter(({ config: { filter_subjects = [], filter_subject } }) =>
        [filter_subject ?? "", ...filter_subjects].some((filter) =>
          /\.(train|extract|validate)\./.test(filter)
        )
      ).map(({ name }) => name);
    });
    if (others.length === 0) return;
    return yield* setup(
      `other services are at work on this server (${
        others.join(", ")
      }): examine '${name}' on a server of its own`,
    );
  });

const verdictOf = ({ name, run }: Check, bench: Bench) =>
  Effect.scoped(run(bench)).pipe(
    Effect.match({
      onSuccess: (remark): Verdict => ({ check: name, passed: true, remark: remark ?? "" }),
      onFailure: ({ message }): Verdict => ({ check: name, passed: false, remark: message }),
    }),
  );

/** Examines a candidate: a verdict for every check. Whatever was started is ended. */
export const examine = (
  { name, url, start, patience, onVerdict, onNote }: Examination,
): Effect.Effect<readonly Verdict[], ConformanceError | BusError> =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => Deno.makeTempDir({ prefix: "subtaxa-conformance-" })),
      (folder) => Effect.promise(() => Deno.remove(folder, { recursive: true })),
    );
    const showLog = Effect.promise(async () => {
      const log = await Deno.readTextFile(join(folder, "candidate.log")).catch(() => "");
      if (log) onNote(`the end of what the candidate wrote:\n${log.slice(-3_000)}`);
    });
    let server = url;
    if (server === null) {
      const platform = currentPlatform();
      if (!platform) return yield* setup("there is no nats-server for this platform: give --url");
      const binary = natsServerPath(subtaxaHome(), platform);
      server = (yield* startNatsServer({ binary, folder: join(folder, "nats") })).url;
    }
    const env = {
      NATS_URL: server,
      SUBTAXA_DATA: join(folder, "candidate"),
      SUBTAXA_PROBE_PORT: "0",
      SUBTAXA_ACK_WAIT: "3 seconds",
      SUBTAXA_LOG_LEVEL: "Warn",
    };
    const config = ConfigProvider.layer(
      ConfigProvider.fromUnknown({ NATS_URL: server, SUBTAXA_DATA: join(folder, "own") }),
    );
    const services = Layer.mergeAll(Bus.layer, Blobs.layer).pipe(
      Layer.provideMerge(Connection.layer("conformance").pipe(Layer.provide(config))),
      Layer.provide(config),
    );
    return yield* Effect.gen(function* () {
      const bench = yield* makeBench(name, patience);
      yield* mustBeAlone(bench);
      const scope = yield* Scope.Scope;
      const log = join(folder, "candidate.log");
      let started: Started | null = null;
      const here = Effect.suspend(() => {
        if (started && !started.isRunning()) return Effect.fail(setup("the candidate has ended"));
        return announcementOf(bench);
      });
      const ready = Effect.gen(function* () {
        if (start !== null) started = yield* Scope.provide(startCommand(start, env, log), scope);
        else onNote(`waiting for '${name}' at NATS_URL=${server}`);
        // one that doesn't announce itself gets its verdict for that, and is examined all the same
        yield* here.pipe(
          Effect.retry({
            schedule: Schedule.spaced("300 millis").pipe(
              Schedule.upTo({ duration: Duration.seconds(patience) }),
            ),
            while: ({ reason }) => reason._tag === "Broken",
          }),
          Effect.catchIf(({ reason }) => reason._tag === "Broken", () => Effect.void),
        );
      });
      yield* ready;
      const checks = [...behaviour, ...trouble, ...(start === null ? [] : restarts(() => started!, ready))];
      const verdicts: Verdict[] = [];
      for (const check of checks) {
        const verdict = yield* verdictOf(check, bench);
        verdicts.push(verdict);
        onVerdict(verdict);
      }
      if (verdicts.some(({ passed }) => !passed)) yield* showLog;
      return verdicts;
    }).pipe(
      Effect.tapError(() => showLog),
      Effect.provide(services),
      Effect.catchTag("ConfigError", ({ message }) => Effect.fail(setup(message))),
    );
  }).pipe(Effect.scoped);
