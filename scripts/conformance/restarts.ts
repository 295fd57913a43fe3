import { Effect } from "effect";
import { type Bench, type Sent, STREAM } from "./bench.ts";
import type { Candidate } from "./candidate.ts";
import { announcementsOf, type Check } from "./check.ts";
import { broken, must } from "./error.ts";
import type { Started } from "./process.ts";
import { cancelled, endless, groups, large, limits, small } from "./trouble.ts";

/** Ends a process by SIGTERM; how long that took. */
const stop = (bench: Bench, started: Started) =>
  Effect.gen(function* () {
    const from = performance.now();
    started.signal("SIGTERM");
    yield* bench.until("SIGTERM doesn't end it", () => started.isRunning() ? undefined : true, 10);
    const { code, signal } = yield* started.ended;
    yield* must(
      code === 0,
      signal === null
        ? `after SIGTERM it ends with code ${code} instead of 0`
        : `${signal} ends it before it ends itself with code 0 (behind a shell? start it with exec)`,
    );
    return `${((performance.now() - from) / 1000).toFixed(1)} s`;
  });

const kill = (started: Started) =>
  Effect.sync(() => started.signal("SIGKILL")).pipe(Effect.andThen(started.ended));

/** A long piece of work, and the candidate at it. */
const atWork = (bench: Bench) =>
  Effect.gen(function* () {
    yield* bench.idle();
    const fold = large(bench);
    const cause = yield* bench.extracted(fold, limits, groups);
    const sent = yield* bench.publish(cause);
    yield* bench.taken(sent);
    return { sent, answer: bench.dividedAfter(fold, cause, sent) };
  });

const answeredOnce = (bench: Bench, { runId, start }: Sent) =>
  Effect.gen(function* () {
    yield* bench.idle();
    const answers = bench.publishedFor(runId, start);
    yield* must(answers.length === 1, `${answers.length} answers were published`);
  });

/** Ends the instance at work by SIGTERM, and starts another one; how long that took, and whether the message was handed back. */
const stopAtWork = (
  bench: Bench,
  candidate: Candidate,
  sent: Sent,
  then: Effect.Effect<unknown> = Effect.void,
) =>
  Effect.gen(function* () {
    const stopped = yield* stop(bench, candidate.current()).pipe(Effect.result);
    yield* Effect.sleep("100 millis");
    const handedBack = bench.wire.settled(sent.sequence, "nak") !== undefined;
    const done = bench.publishedFor(sent.runId, sent.start).length > 0;
    yield* then;
    yield* kill(candidate.current());
    yield* candidate.start();
    if (stopped._tag === "Failure") return yield* stopped.failure;
    yield* must(
      handedBack || done,
      "it neither hands the message back (-NAK) nor answers it: nobody gets it before the ack wait is over",
    );
    return { took: stopped.success, handedBack };
  });

/** Starts one more instance; where the consumer's settings don't follow, they are changed and it is started again. */
const startWith = (bench: Bench, candidate: Candidate, env: Record<string, string>, config: Config) =>
  Effect.gen(function* () {
    const info = Effect.promise(async () => (await bench.consumerInfo())!);
    const fits = Effect.map(info, ({ config: now }) =>
      now.ack_wait === (config.ack_wait ?? now.ack_wait) &&
      now.max_deliver === (config.max_deliver ?? now.max_deliver));
    const started = yield* candidate.start(env);
    if (yield* fits) return { started, followed: true };
    const { name, config: former } = yield* info;
    const { consumers } = bench.jsm;
    yield* Effect.promise(() =>
      consumers.update(STREAM, name, config).catch(async () => {
        // the server may still be removing the files of the consumer of that name that was deleted before
        await consumers.delete(STREAM, name);
        await consumers.add(STREAM, { ...former, ...config });
      })
    );
    yield* kill(started);
    return { started: yield* candidate.start(env), followed: false };
  });
interface Config {
  readonly ack_wait?: number;
  readonly max_deliver?: number;
}

/** Checks that start, stop and kill instances. In their order: each leaves one instance at work. */
export const restarts = (candidate: Candidate): readonly Check[] => [
  {
    name: "instances: all of them answer on discovery, each under its own id, also while they work",
    run: (bench) =>
      Effect.gen(function* () {
        const first = candidate.current();
        yield* candidate.start();
        const { answer } = yield* atWork(bench);
        const { mine } = yield* announcementsOf(bench);
        yield* Effect.ensuring(answer, kill(first));
        yield* must(mine.length === 2, `${mine.length} of two instances answer while one of them works`);
        yield* must(mine[0]!.instance !== mine[1]!.instance, "two instances answer with the same id");
        return "";
      }),
  },
  {
    name: "stop: SIGTERM ends an idle instance with code 0 within ten seconds",
    run: (bench) => Effect.andThen(bench.idle(), stop(bench, candidate.current())),
  },
  {
    name: "configuration: an instance that starts with another ack wait brings the consumer up to date",
    run: (bench) =>
      Effect.gen(function* () {
        const millis = shortWait(bench);
        const env = { SUBTAXA_ACK_WAIT: `${millis} millis` };
        const { followed } = yield* startWith(bench, candidate, env, { ack_wait: millis * 1e6 });
        yield* must(
          followed,
          `started with SUBTAXA_ACK_WAIT="${millis} millis", it leaves the consumer's ack wait as it was: create or ` +
            "update the consumer",
        );
        return `${millis} ms`;
      }),
  },
  {
    name: "long work: the deadline is extended every half ack wait of the consumer",
    run: (bench) =>
      Effect.gen(function* () {
        const { ack_wait = 0 } = (yield* bench.until("there is no consumer", bench.consumerInfo)).config;
        const from = performance.now();
        const { sent, answer } = yield* atWork(bench);
        yield* answer;
        const waits = (performance.now() - from) / (ack_wait / 1e6);
        const beats = bench.wire.settlements.filter(({ sequence, kind }) =>
          sequence === sent.sequence && kind === "working"
        ).length;
        yield* must(
          waits < 1 || beats > 0,
          `it worked ${waits.toFixed(1)} ack waits long and never extended the deadline (+WPI)`,
        );
        yield* answeredOnce(bench, sent);
        return `${waits.toFixed(1)} ack waits, ${beats} times extended`;
      }),
  },
  {
    name: "hand-over: SIGTERM in the middle of work hands the message back, and another instance answers it",
    run: (bench) =>
      Effect.gen(function* () {
        const { sent, answer } = yield* atWork(bench);
        const { took, handedBack } = yield* stopAtWork(bench, candidate, sent);
        yield* answer;
        yield* answeredOnce(bench, sent);
        return `${took}${handedBack ? "" : ", it was done before"}`;
      }),
  },
  {
    name: "long hand-over: work of minutes is given up on SIGTERM within ten seconds too",
    run: (bench) =>
      Effect.gen(function* () {
        yield* bench.idle();
        const cause = yield* endless(bench);
        const sent = yield* bench.publish(cause);
        yield* bench.taken(sent);
        yield* Effect.sleep("1 second"); // until it divides
        const over = bench.publish(cancelled({ head: cause })).pipe(Effect.orDie); // nobody need do it
        const { took, handedBack } = yield* stopAtWork(bench, candidate, sent, over);
        yield* bench.idle();
        return `${took}${handedBack ? "" : ", it was done before"}`;
      }),
  },
  {
    name: "crash: killed in the middle of its work and started again, it answers once",
    run: (bench) =>
      Effect.gen(function* () {
        const { sent, answer } = yield* atWork(bench);
        yield* kill(candidate.current());
        yield* candidate.start();
        yield* answer;
        yield* answeredOnce(bench, sent);
        return "";
      }),
  },
  ...(candidate.restartServer
    ? [{
      name: "server: after a restart of NATS it takes messages and announces itself again",
      run: (bench: Bench) =>
        Effect.gen(function* () {
          yield* bench.idle();
          yield* candidate.restartServer!;
          yield* small(bench);
          const { mine } = yield* announcementsOf(bench);
          if (!candidate.current().isRunning()) return yield* broken("it has ended");
          yield* must(mine.length === 1, `${mine.length} instances announce themselves instead of one`);
          return "";
        }),
    }]
    : []),
  {
    name: "last delivery: SIGTERM in the middle of it ends after the answer, because handed back it is lost",
    run: (bench) =>
      Effect.gen(function* () {
        yield* kill(candidate.current());
        const env = { SUBTAXA_MAX_DELIVER: "1" };
        yield* startWith(bench, candidate, env, { max_deliver: 1 });
        const { sent, answer } = yield* atWork(bench);
        const stopped = yield* stop(bench, candidate.current()).pipe(Effect.result);
        yield* must(
          bench.wire.settled(sent.sequence, "nak") === undefined,
          "it hands back a message that is never delivered again: that fails its run",
        );
        if (stopped._tag === "Failure") return yield* stopped.failure;
        yield* answer;
        return stopped.success;
      }),
  },
];

/** An ack wait that the long work outlasts, in milliseconds. */
const shortWait = ({ measured }: Bench) => Math.min(3_000, Math.max(60, Math.round(measured.seconds * 300)));
