import { CONTRACT_VERSION, type EventOf, subjectOf } from "@subtaxa/contracts";
import { Effect } from "effect";
import { type Bench, wellSent } from "./bench.ts";
import { announcementOf, type Check, parametersOf } from "./checks.ts";
import { type Embed, planted } from "./data.ts";
import { broken, type ConformanceError, must } from "./error.ts";
import type { Started } from "./process.ts";

/** 4,000 embeddings of 256 dimensions, as a run of ordinary size has them. */
const large = (bench: Bench) => bench.fold({ a: 1_000, b: 1_000, c: 1_000, d: 1_000 });
const limits = [5, 5, 5, 5];
const groups: Embed = (() => {
  const embed = planted((position) => position % 4, 256);
  const rows = new Map<string, readonly number[]>();
  return (ofClass, position) => {
    const key = `${ofClass}/${position}`;
    if (!rows.has(key)) rows.set(key, embed(ofClass, position));
    return rows.get(key)!;
  };
})();

const small = (bench: Bench) =>
  bench.divide(bench.fold({ views: 60, other: 20 }), [3, 1], planted((position) => position % 3)).pipe(
    Effect.mapError(({ message }) => broken(`the next message is not served: ${message}`)),
  );

const speed: Check = {
  name: "speed: 4,000 embeddings of 256 dimensions",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = large(bench);
      const cause = yield* bench.extracted(fold, limits, groups);
      const started = performance.now();
      yield* bench.publish(cause);
      const { event } = yield* bench.dividedAfter(fold, cause, 0);
      const seconds = (performance.now() - started) / 1000;
      const found = event.state.classes.map(({ clusters }) => clusters).join(", ");
      return `${seconds.toFixed(2)} s; ${found} sub-classes`;
    }),
};

const cancelled = ({ head: { runId } }: { head: { runId: string } }): EventOf<"run.cancelled"> => ({
  type: "run.cancelled",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  runId,
});

const ending: Check = {
  name: "end: nothing is published for a run that has ended, before or while it is worked on",
  run: (bench) =>
    Effect.gen(function* () {
      const { seen } = bench;
      const published = (runId: string, after: number) =>
        seen.slice(after).find(({ subject, event }) =>
          subject.split(".")[4] === runId && event?.type !== "features.extracted"
        );
      const before = bench.fold({ views: 60, other: 20 });
      const cause = yield* bench.extracted(before, [3, 1], planted((position) => position % 3));
      yield* bench.publish(cancelled(before));
      yield* Effect.sleep("100 millis");
      let start = seen.length;
      yield* bench.publish(cause);
      yield* bench.idle();
      const late = published(before.head.runId, start);
      if (late) return yield* broken(`${late.subject} is published for a run that had ended before`);

      const during = large(bench);
      yield* bench.publish(yield* bench.extracted(during, limits, groups));
      yield* bench.until("it never takes the message", async () => {
        const info = await bench.consumerInfo();
        return info && info.num_pending === 0 ? true : undefined;
      });
      yield* Effect.sleep("100 millis");
      yield* bench.publish(cancelled(during));
      const end = () =>
        seen.findIndex(({ event }) => event?.type === "run.cancelled" && event.runId === during.head.runId);
      yield* bench.until("the run's end", () => end() >= 0 ? true : undefined);
      start = end() + 1;
      yield* bench.idle();
      const later = published(during.head.runId, start);
      if (later) return yield* broken(`${later.subject} is published after the run's end`);
      const early = seen.some(({ event }) =>
        event?.type === "dataset.relabelled" && event.runId === during.head.runId
      );
      return early ? "it had finished before the end came" : "";
    }),
};

const malformed: Check = {
  name: "trouble: what can't be read or divided fails its run in words, and the next message is served",
  run: (bench) =>
    Effect.gen(function* () {
      const { js, seen } = bench;
      const embed = planted((position) => position % 3);
      const good = (sizes = { views: 30, other: 10 }) => bench.extracted(bench.fold(sizes), [3, 1], embed);
      const garbage = yield* bench.put(new TextEncoder().encode("this is no Arrow table"));
      const gone = { key: `sha256-${"1".repeat(64)}`, sha256: "1".repeat(64), bytes: 7 };
      const fewer = yield* good({ views: 20, other: 10 });
      type Extracted = typeof fewer;
      const troubles: Readonly<Record<string, (event: Extracted) => unknown>> = {
        "no JSON": () => "{nonsense",
        "another version": (event) => ({ ...event, v: 2 }),
        "no Arrow": (event) => ({ ...event, features: garbage }),
        "no such blob": (event) => ({ ...event, features: gone }),
        "too few embeddings": (event) => ({ ...event, features: fewer.features }),
      };
      const ways: string[] = [];
      for (const [what, spoil] of Object.entries(troubles)) {
        const start = seen.length;
        const event = yield* good();
        const { runId } = event;
        const spoilt = spoil(event);
        const body = typeof spoilt === "string" ? spoilt : JSON.stringify(spoilt);
        yield* Effect.promise(() => js.publish(subjectOf(event), body));
        const mine = () => seen.slice(start).filter(({ subject }) => subject.includes(runId));
        const failed = () => mine().find(({ subject }) => subject.startsWith("subtaxa.run.failed."));
        const outcome = yield* bench.until(
          `${what}: the run neither fails nor is the message redelivered`,
          async () => {
            const found = failed();
            if (found) return found;
            if (
              mine().some(({ subject }) => subject.startsWith("subtaxa.dataset.relabelled."))
            ) return "answered";
            const info = await bench.consumerInfo();
            return info && info.num_redelivered > 0 ? null : undefined;
          },
        );
        if (outcome === "answered") return yield* broken(`${what}: it answers as if nothing were wrong`);
        if (outcome === null) {
          ways.push(`${what}: redelivered`);
          continue;
        }
        yield* wellSent(outcome);
        const told = outcome.event;
        yield* must(
          told?.type === "run.failed" && told.error.tag !== "" && told.error.message.length > 10,
          `${what}: run.failed says nothing about it`,
        );
        const dead = () => mine().find(({ subject }) => subject.startsWith("dead."));
        yield* bench.until(`${what}: no dead letter keeps the message`, dead, 5);
        ways.push(what);
      }
      yield* small(bench);
      return ways.join(", ");
    }),
};

const parameters: Check = {
  name: "parameters: its defaults change nothing; what its schema refuses fails the run",
  run: (bench) =>
    Effect.gen(function* () {
      const { first } = yield* announcementOf(bench);
      const fits = yield* parametersOf(first);
      const properties = Object.entries(
        (first.parameters.properties ?? {}) as Record<string, { default?: unknown }>,
      );
      const defaults = Object.fromEntries(
        properties.flatMap(([key, { default: value }]) => value === undefined ? [] : [[key, value]]),
      );
      const embed = planted((position) => position % 3);
      const of = (given: Record<string, unknown>) =>
        bench.fold({ views: 60, other: 20 }, { parameters: given });
      const plain = yield* bench.divide(of({}), [3, 1], embed);
      const set = yield* bench.divide(of(defaults), [3, 1], embed);
      yield* must(
        plain.event.state.labels?.sha256 === set.event.state.labels?.sha256,
        "its own defaults, given as parameters, give other labels",
      );
      const wrong = { "no such parameter": { deeply: "wrong" } };
      const told = `${Object.keys(defaults).join(", ") || "none"}`;
      if (fits(wrong)) return `${told}; it takes any other`;
      const refused = of(wrong);
      const start = bench.seen.length;
      yield* bench.publish(yield* bench.extracted(refused, [3, 1], embed));
      const { event } = yield* bench.next(refused.head.runId, "run.failed", start);
      yield* must(
        event.error.message.includes("no such parameter"),
        `the failure doesn't name the parameter: ${event.error.message}`,
      );
      yield* small(bench);
      return told;
    }),
};

/** Checks that need no hold on the candidate's process. */
export const trouble: readonly Check[] = [parameters, speed, ending, malformed];

/** Checks that kill the candidate and start it again. */
export const restarts = (
  started: () => Started,
  start: Effect.Effect<void, ConformanceError>,
): readonly Check[] => [
  {
    name: "crash: killed in the middle of its work and started again, it answers once",
    run: (bench) =>
      Effect.gen(function* () {
        yield* bench.idle();
        const fold = large(bench);
        const cause = yield* bench.extracted(fold, limits, groups);
        const from = bench.seen.length;
        yield* bench.publish(cause);
        yield* bench.until("it never takes the message", async () => {
          const info = await bench.consumerInfo();
          return info && info.num_ack_pending > 0 ? true : undefined;
        });
        started().signal("SIGKILL");
        yield* started().ended;
        yield* start;
        yield* bench.dividedAfter(fold, cause, from);
        yield* bench.idle();
        const answers = bench.seen.slice(from).filter(({ subject }) => subject.includes(".relabelled."));
        yield* must(answers.length === 1, `${answers.length} answers were published`);
        return "";
      }),
  },
  {
    name: "stop: SIGTERM ends it within ten seconds",
    run: (bench) =>
      Effect.gen(function* () {
        const from = performance.now();
        started().signal("SIGTERM");
        yield* bench.until("it goes on", () => started().isRunning() ? undefined : true, 10);
        const { code, signal } = yield* started().ended;
        yield* must(code === 0 || signal === "SIGTERM", `it ended with code ${code}`);
        return `${((performance.now() - from) / 1000).toFixed(1)} s, code ${code}`;
      }),
  },
];
