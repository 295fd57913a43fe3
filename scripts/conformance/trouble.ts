import { CONTRACT_VERSION, type EventOf, subjectOf } from "@subtaxa/contracts";
import { kMeans, Points } from "@subtaxa/clustering";
import { random } from "@subtaxa/random";
import { Effect, Option, Result } from "effect";
import { type Bench, OWN_SOURCE } from "./bench.ts";
import { announcementOf, type Check, parametersOf } from "./check.ts";
import { type Embed, planted } from "./data.ts";
import { broken, must } from "./error.ts";
import { deadLetterFaults } from "./messages.ts";

/** 4,000 embeddings of 256 dimensions, as a run of ordinary size has them. */
export const large = (bench: Bench) => bench.fold({ a: 1_000, b: 1_000, c: 1_000, d: 1_000 });
export const limits = [5, 5, 5, 5];
export const groups: Embed = (() => {
  const embed = planted((position) => position % 4, 256);
  const rows = new Map<string, readonly number[]>();
  return (ofClass, position) => {
    const key = `${ofClass}/${position}`;
    if (!rows.has(key)) rows.set(key, embed(ofClass, position));
    return rows.get(key)!;
  };
})();

export const small = (bench: Bench) =>
  bench.divide(bench.fold({ views: 60, other: 20 }), [3, 1], planted((position) => position % 3)).pipe(
    Effect.mapError(({ message }) => broken(`the next message is not served: ${message}`)),
  );

/** Work of minutes unless it is given up: classes without structure, in the most sub-classes that there may be. */
export const endless = (bench: Bench) => {
  const fold = bench.fold({ a: 4_000, b: 4_000, c: 4_000, d: 4_000 }, { maxClusters: 32, minClusterSize: 2 });
  return bench.extracted(fold, [32, 32, 32, 32], planted(() => 0, 64));
};

/** Seconds that plain K-Means takes here and now for 1 to 5 sub-classes of each of the large fold's classes. */
const plainSeconds = () => {
  const started = performance.now();
  limits.forEach((limit, ofClass) => {
    const rows = Array.from({ length: 1_000 }, (_, row) => groups(ofClass, 1_000 * ofClass + row));
    const points = Result.getOrThrow(Points.of(Float32Array.from(rows.flat()), 256));
    for (let k = 1; k <= limit; k++) kMeans(points, k, { random: random(14, ofClass, k) });
  });
  return (performance.now() - started) / 1000;
};

/** So many times as long as K-Means, or ten seconds, is no matter beside an epoch. */
const SLOWEST = { times: 40, seconds: 10 };

const speed: Check = {
  name: "speed: 4,000 embeddings of 256 dimensions in 40 times what K-Means takes, or ten seconds",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = large(bench);
      const cause = yield* bench.extracted(fold, limits, groups);
      const before = plainSeconds();
      const started = performance.now();
      const { event } = yield* bench.dividedAfter(fold, cause, yield* bench.publish(cause));
      const seconds = (performance.now() - started) / 1000;
      bench.measured.seconds = seconds;
      const plain = Math.max(before, plainSeconds()); // what else is at work on this machine slows both
      const found = event.state.classes.map(({ clusters }) => clusters).join(", ");
      const told = `${seconds.toFixed(2)} s, ${(seconds / plain).toFixed(1)} times K-Means`;
      yield* must(seconds <= Math.max(SLOWEST.seconds, SLOWEST.times * plain), `it takes ${told}`);
      return `${told}; ${found} sub-classes`;
    }),
};

export const cancelled = ({ head: { runId } }: { head: { runId: string } }): EventOf<"run.cancelled"> => ({
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
      const before = bench.fold({ views: 60, other: 20 });
      const cause = yield* bench.extracted(before, [3, 1], planted((position) => position % 3));
      yield* bench.publish(cancelled(before));
      const sent = yield* bench.publish(cause);
      yield* bench.idle();
      const late = bench.publishedFor(sent.runId, sent.start)[0];
      if (late) return yield* broken(`${late.subject} is published for a run that had ended before`);

      const during = large(bench);
      const work = yield* bench.publish(yield* bench.extracted(during, limits, groups));
      yield* bench.taken(work);
      // at once: later it would meet with the answer of who is quick, and come between its last look-up and its answer
      yield* bench.publish(cancelled(during));
      const end = () =>
        seen.findIndex(({ event }) => event?.type === "run.cancelled" && event.runId === work.runId);
      yield* bench.until("the run's end doesn't come", () => end() >= 0 ? true : undefined);
      const start = end() + 1;
      yield* bench.idle();
      const later = bench.publishedFor(work.runId, start)[0];
      if (later) return yield* broken(`${later.subject} is published after the run's end`);
      return bench.publishedFor(work.runId, work.start).length > 0
        ? "it had finished before the end came"
        : "";
    }),
};

/** As if it had stalled beyond the ack wait, and another instance had been given the message. */
const overtaken: Check = {
  name: "overtaken: neither answers nor fails what another instance has answered while it worked",
  run: (bench) =>
    Effect.gen(function* () {
      const remarks: string[] = [];
      for (const what of ["healthy", "an embedding is missing"] as const) {
        const fold = large(bench);
        const cause = yield* bench.extracted(fold, limits, groups);
        const lacking = what === "healthy" ? cause : {
          ...cause,
          features: (yield* bench.extracted(
            {
              ...fold,
              images: { image: fold.images.image.slice(0, -1), class: fold.images.class.slice(0, -1) },
            },
            limits,
            groups,
          )).features,
        };
        const answer = bench.answerOfAnother(cause);
        // the two look-ups before it acts are over
        bench.wire.atLookUp(fold.head.runId, 2, answer);
        const sent = yield* bench.publish(lacking);
        yield* bench.taken(sent);
        yield* Effect.sleep("100 millis");
        answer(); // once only
        const other = yield* bench.until("the other's answer doesn't come", () =>
          bench.seen.slice(sent.start).find(({ subject, headers }) =>
            subject.startsWith("subtaxa.dataset.relabelled.") && subject.split(".")[4] === sent.runId &&
            headers["ce-source"] === OWN_SOURCE
          ));
        yield* bench.idle();
        const own = bench.publishedFor(sent.runId, sent.start)[0];
        if (own && own.place < other.place) {
          remarks.push(`${what}: it was done before the other`);
        } else if (own) {
          return yield* broken(
            `${what}: ${own.subject} is published, although the message was answered meanwhile`,
          );
        }
      }
      return remarks.join("; ");
    }),
};

const malformed: Check = {
  name: "trouble: what can't be read or divided fails its run in words, and the next message is served",
  run: (bench) =>
    Effect.gen(function* () {
      const { seen, complaints, wire } = bench;
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
        "another hash": (event) => ({ ...event, features: { ...event.features, sha256: "2".repeat(64) } }),
        "too few embeddings": (event) => ({ ...event, features: fewer.features }),
      };
      const consumer = (yield* bench.until("there is no consumer", bench.consumerInfo)).name;
      for (const [what, spoil] of Object.entries(troubles)) {
        const event = yield* good();
        const spoilt = spoil(event);
        const body = typeof spoilt === "string" ? spoilt : JSON.stringify(spoilt);
        const sent = yield* bench.send(subjectOf(event), new TextEncoder().encode(body));
        const failed = yield* bench.answerTo(sent, "run.failed").pipe(
          Effect.raceFirst(
            bench.until("", () =>
              bench.publishedFor(sent.runId, sent.start).some(({ subject }) =>
                  subject.startsWith("subtaxa.dataset.relabelled.")
                )
                ? "it answers as if nothing were wrong"
                : wire.settled(sent.sequence, "nak")
                ? "it hands the message back, although doing it again can't mend it"
                : undefined).pipe(Effect.flatMap((sentence) =>
                  Effect.fail(broken(sentence))
                )),
          ),
          Effect.mapError(({ message }) => broken(`${what}: ${message}`)),
        );
        const { tag, message } = failed.event.error;
        yield* must(tag !== "" && message.length > 10, `${what}: run.failed says nothing about it`);
        const letter = yield* bench.until("no dead letter", () =>
          seen.slice(sent.start).find(({ subject }) =>
            subject.startsWith("dead.")
          ), 3).pipe(Effect.option);
        complaints.deadLetters.push(
          ...Option.match(letter, {
            onNone: () => ["no dead letter keeps a message that failed its run"],
            onSome: (letter) =>
              deadLetterFaults(letter, { ...sent, consumer }),
          }),
        );
        const over = yield* bench.until("", () =>
          wire.settled(sent.sequence, "term") ?? wire.settled(sent.sequence, "ack"), 2).pipe(Effect.option);
        if (Option.isNone(over)) {
          complaints.settling.push("a message that failed its run is not terminated (+TERM)");
        } else if (over.value.kind === "ack") {
          complaints.settling.push(
            "a message that failed its run is acknowledged instead of terminated (+TERM)",
          );
        }
      }
      yield* small(bench);
      return Object.keys(troubles).join(", ");
    }),
};

const parameters: Check = {
  name: "parameters: its defaults change nothing; what its schema refuses fails the run",
  run: (bench) =>
    Effect.gen(function* () {
      const first = yield* announcementOf(bench);
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
      const sent = yield* bench.publish(yield* bench.extracted(refused, [3, 1], embed));
      const { event } = yield* bench.answerTo(sent, "run.failed");
      yield* must(
        event.error.message.includes("no such parameter"),
        `the failure doesn't name the parameter: ${event.error.message}`,
      );
      yield* small(bench);
      return told;
    }),
};

/** Checks that need no hold on the candidate's process. */
export const trouble: readonly Check[] = [parameters, speed, ending, overtaken, malformed];
