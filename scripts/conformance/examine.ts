import { Blobs, Bus, type BusError, Connection, startNatsServer } from "@subtaxa/bus";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Effect, Layer, Scope } from "effect";
import { join } from "node:path";
import { type Bench, makeBench, STREAM } from "./bench.ts";
import { type Candidate, makeAwaiting, makeCandidate } from "./candidate.ts";
import { announcementsOf, type Check } from "./check.ts";
import { behaviour } from "./checks.ts";
import { broken, type ConformanceError, setup } from "./error.ts";
import { notes } from "./notes.ts";
import { restarts } from "./restarts.ts";
import { trouble } from "./trouble.ts";

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
  /** The earlier check that failed for the same reason; null for the first. */
  readonly follows: string | null;
}

const ACK_WAIT = 3_000;

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

const verdictOf = ({ name, run }: Check, bench: Bench, before: readonly Verdict[]) =>
  Effect.scoped(run(bench)).pipe(
    Effect.match({
      onSuccess: (remark): Verdict => ({ check: name, passed: true, remark: remark ?? "", follows: null }),
      onFailure: ({ message }): Verdict => {
        const first = before.find(({ passed, remark, follows }) =>
          !passed && follows === null && remark === message
        );
        return { check: name, passed: false, remark: message, follows: first?.check ?? null };
      },
    }),
  );

/** The check, which also fails when the candidate ends of itself; then it is started anew for the next one. */
const watching = (candidate: Candidate) => ({ name, run }: Check): Check => ({
  name,
  run: (bench) =>
    Effect.raceFirst(
      run(bench),
      candidate.current().ended.pipe(
        Effect.tap(() => candidate.start()),
        Effect.flatMap(({ code, signal }) =>
          Effect.fail(broken(`it ends of itself, ${signal === null ? `with code ${code}` : `by ${signal}`}`))
        ),
      ),
    ),
});

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
    let restartServer: Candidate["restartServer"] = null;
    if (server === null) {
      const platform = currentPlatform();
      if (!platform) return yield* setup("there is no nats-server for this platform: give --url");
      const scope = yield* Scope.Scope;
      const options = { binary: natsServerPath(subtaxaHome(), platform), folder: join(folder, "nats") };
      const own = yield* startNatsServer(options);
      server = own.url;
      restartServer = own.kill.pipe(
        Effect.andThen(Scope.provide(startNatsServer({ ...options, port: own.port }), scope)),
        Effect.mapError(({ message }) => setup(message)),
        Effect.asVoid,
      );
    }
    const env = {
      NATS_URL: server,
      SUBTAXA_DATA: join(folder, "candidate"),
      SUBTAXA_PROBE_PORT: "0",
      SUBTAXA_ACK_WAIT: `${ACK_WAIT / 1000} seconds`,
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
      const bench = yield* makeBench(name, patience, start === null ? null : { ackWait: ACK_WAIT });
      yield* mustBeAlone(bench);
      const log = join(folder, "candidate.log");
      const strangers = url === null ? [] : (yield* announcementsOf(bench)).others;
      const awaiting = makeAwaiting(bench, strangers);
      let candidate: Candidate | null = null;
      if (start === null) {
        onNote(`waiting for '${name}' at NATS_URL=${server}`);
        yield* awaiting(() => true);
      } else {
        const reconnected = restartServer && Effect.andThen(
          restartServer,
          bench.until("the server doesn't answer", () => bench.nc.rtt().then(() => true, () => undefined)),
        ).pipe(Effect.asVoid);
        candidate = yield* makeCandidate({ command: start, env, log, awaiting, restartServer: reconnected });
        yield* candidate.start();
      }
      const questions = [...behaviour, ...trouble];
      const checks = [
        ...(candidate ? [...questions.map(watching(candidate)), ...restarts(candidate)] : questions),
        ...notes,
      ];
      const verdicts: Verdict[] = [];
      for (const check of checks) {
        const verdict = yield* verdictOf(check, bench, verdicts);
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
