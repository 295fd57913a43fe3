import {
  ClustererAnnouncement,
  discoverySubject,
  type Event,
  RunProgress,
  subjectOf,
} from "@subtaxa/contracts";
import { Ajv2020 } from "ajv/2020";
import { Effect, type Scope } from "effect";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { type Bench, type Divided, STREAM } from "./bench.ts";
import { type Embed, planted, purity } from "./data.ts";
import { broken, type ConformanceError, must } from "./error.ts";
import type { Rule } from "./labels.ts";
import { jsonIn } from "./wire.ts";

/** One thing that the contract demands. It ends with a remark for the report, or null where it does not apply. */
export interface Check {
  readonly name: string;
  readonly run: (bench: Bench) => Effect.Effect<string | null, ConformanceError, Scope.Scope>;
}

const planning = ["run.requested", "backbone.extracted", "epoch.validated"] as const;

/** Who answers on the discovery subject: the candidate's instances. */
export const announcementsOf = ({ bus, name }: Bench) =>
  bus.ask(discoverySubject.clusterer, ClustererAnnouncement).pipe(
    Effect.mapError(({ message }) => broken(message)),
    Effect.map((all) => ({
      mine: all.filter((one) => one.name === name),
      others: [...new Set(all.map((one) => one.name))].filter((other) => other !== name),
    })),
  );

export const announcementOf = (bench: Bench) =>
  Effect.flatMap(announcementsOf(bench), ({ mine }) =>
    mine[0] ? Effect.succeed(mine[0]) : Effect.fail(
      broken(`nobody named '${bench.name}' answers on ${discoverySubject.clusterer} as the schema says`),
    ));

export const parametersOf = (announcement: ClustererAnnouncement) =>
  Effect.try({
    try: () => new Ajv2020({ strict: false, validateFormats: false }).compile(announcement.parameters),
    catch: (cause) => broken(`its parameters are no JSON Schema: ${cause}`),
  });

const discovery: Check = {
  name: "discovery: announces itself, with a JSON Schema of its parameters",
  run: (bench) =>
    Effect.gen(function* () {
      const first = yield* announcementOf(bench);
      const fits = yield* parametersOf(first);
      yield* must(fits({}), "a run without parameters must fit its schema");
      return `version ${first.version}`;
    }),
};

const consumer: Check = {
  name: "consumer: durable, pulled, acknowledged explicitly, on its route alone, as it is configured",
  run: (bench) =>
    Effect.gen(function* () {
      const info = yield* bench.until("there is no durable consumer on its route", bench.consumerInfo);
      const { durable_name, ack_policy, deliver_policy, deliver_subject, filter_subjects = [] } = info.config;
      const { max_deliver = -1, ack_wait = 0 } = info.config;
      yield* must(durable_name !== undefined, "the consumer is not durable");
      yield* must(deliver_subject === undefined, "the consumer pushes: it must be pulled");
      yield* must(
        ack_policy === "explicit",
        `the consumer acknowledges '${ack_policy}' instead of 'explicit'`,
      );
      yield* must(deliver_policy === "all", `the consumer delivers '${deliver_policy}' instead of 'all'`);
      yield* must(max_deliver > 0, "the consumer delivers for ever: set max_deliver");
      if (bench.settings) {
        const { ackWait } = bench.settings;
        yield* must(
          ack_wait === ackWait * 1e6,
          `its ack wait is ${ack_wait / 1e6} ms, although SUBTAXA_ACK_WAIT says ${ackWait} ms`,
        );
      }
      for (const type of [...planning, "features.extracted"]) {
        const subject = `subtaxa.${type}.${bench.name}.*.*`;
        yield* must(filter_subjects.includes(subject), `the consumer doesn't take ${subject}`);
      }
      yield* must(filter_subjects.length === planning.length + 1, "the consumer takes more than is its own");
      return durable_name!;
    }),
};

const plans: Check = {
  name: "planning: says per class how many sub-classes it may have, and which classes need embeddings",
  run: (bench) =>
    Effect.gen(function* () {
      const method = "gs-trs"; // the one whose folds may begin with the clusterer
      for (const type of planning) {
        const { head } = bench.fold({ missed: 30, known: 30, half: 30 }, { method });
        const epoch = type === "epoch.validated" ? 1 : 0;
        const more = type === "epoch.validated" ? results([0.9, 0, 0.5]) : {};
        const spec = epoch
          ? head.spec
          : { ...head.spec, pretrained: { key: "p", sha256: "0".repeat(64), bytes: 0 } };
        const cause = { ...head, spec, epoch, type, ...more } as Parameters<Bench["publish"]>[0];
        const { event } = yield* bench.answerTo(yield* bench.publish(cause), "adaptation.planned");
        yield* must(event.fold === 0 && event.epoch === epoch, "fold or epoch changed on the way");
        yield* must(isDeepStrictEqual(event.spec, spec), "the run's settings changed on the way");
        const { classes, ...rest } = event.state;
        const { classes: former, ...before } = head.state;
        yield* must(isDeepStrictEqual(rest, before), "more than the classes' limits changed in the state");
        yield* must(
          isDeepStrictEqual(
            classes.map(({ name, clusters }) => [name, clusters]),
            former.map((o) => [o.name, 1]),
          ),
          "the classes must stay, in their order, with the sub-classes they have",
        );
        yield* must(
          isDeepStrictEqual(event.classes, classes.filter((o) => o.allowedClusters > 1).map((o) => o.name)),
          "`classes` must name those that may have more than one sub-class",
        );
      }
      return planning.join(", ");
    }),
};

const zeroMetrics = {
  ...{ accuracy: 0.5, precision: 0.5, recall: 0.5, fScore: 0.5, perfectClasses: 0 },
  ...{ falseNegativeVariance: 0, falsePositiveVariance: 0 },
  ...{ falsePositiveRateVariance: 0, falseDiscoveryRateVariance: 0 },
};

/** What an `epoch.validated` tells. */
const results = (falseNegatives: readonly number[]) => ({
  ...{ loss: 1, metrics: zeroMetrics, confusion: [], converged: null },
  falseNegatives: [...falseNegatives],
});

const divides: Check = {
  name: "division: groups that lie far apart become sub-classes, where they are allowed",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ views: 90, whole: 40, crowd: 100 });
      const groupOf = (position: number) => position < 90 ? position % 3 : position % 5;
      const { labels } = yield* bench.divide(fold, [3, 1, 2], planted(groupOf));
      const rows = [...labels.class.keys()].filter((row) => labels.class[row] === 0);
      const groups = rows.map((row) => groupOf((labels.image[row]! - 1) / 3));
      const clusters = rows.map((row) => labels.cluster[row]!);
      const share = purity(groups, clusters);
      const count = new Set(clusters).size;
      yield* must(count > 1, "a class of three groups far apart, allowed 3 sub-classes, is left whole");
      yield* must(share > 0.9, `a planted group is torn: ${(100 * share).toFixed(0)} % of it are together`);
      return `3 groups planted, ${count} found`;
    }),
};

/** The group of an image by its position: `sizes` of consecutive ones. */
const inRuns = (...sizes: readonly (readonly [group: number, images: number])[]) => {
  const groups = sizes.flatMap(([group, images]) => new Array<number>(images).fill(group));
  return (position: number) => groups[position] ?? 0;
};

const lasting: Check = {
  name:
    "ids: the most images keep their sub-class's id, new ones start from their origin, none is given twice",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ views: 83, other: 30 });
      const steps = [
        { most: 2, groupOf: inRuns([0, 58], [1, 25]) },
        // shared images, rows as new clusters: [[30, 25], [28, 0]]. The pair that shares most is not in the best pairing
        { most: 2, groupOf: inRuns([0, 30], [1, 28], [0, 25]) },
        // [[30, 0], [6, 14], [7, 10], [12, 4]]: the two new ones come from different sub-classes
        { most: 4, groupOf: inRuns([0, 30], [1, 14], [2, 10], [3, 4], [1, 6], [2, 7], [3, 12]) },
        { most: 1, groupOf: () => 0 },
        { most: 3, groupOf: (position: number) => position % 3 },
      ];
      const before = bench.faults.length;
      const ids: string[] = [];
      let last: Divided | undefined;
      for (const [wave, { most, groupOf }] of steps.entries()) {
        last = yield* bench.divide(fold, [most, 1], planted(groupOf, 32, wave), last);
        ids.push(last.labels.subclasses.filter((one) => one.class === 0).map(({ id }) => id).join(" "));
      }
      yield* bench.divide(fold, [1, 1], planted(() => 0), last);
      const fault = bench.faults.slice(before).find(({ rule }) => rule === "ids");
      if (fault) return yield* broken(fault.message);
      return ids.join(" → ");
    }),
};

const normalisation: Check = {
  name: "normalisation: l2 divides by direction alone, none by length too",
  run: (bench) =>
    Effect.gen(function* () {
      const noise = planted(() => 0, 32);
      const direction = planted((position) => position % 2, 32);
      const lengthOf = (position: number) => Math.floor(position / 2) % 2;
      const rows = (ofDirection: (position: number) => number): Embed => (ofClass, position) => {
        const [unit, small] = [direction(ofClass, ofDirection(position)), noise(ofClass, position)];
        const scale = lengthOf(position) ? 40 : 1;
        return unit.map((value, d) => scale * value + 0.05 * (small[d]! - unit[d]!));
      };
      for (
        const { normalisation, embed, groupOf } of [
          { normalisation: "l2", embed: rows((position) => position % 2), groupOf: (at: number) => at % 2 },
          { normalisation: "none", embed: rows(() => 0), groupOf: lengthOf },
        ] as const
      ) {
        const fold = bench.fold({ views: 80, other: 20 }, { normalisation });
        const { labels } = yield* bench.divide(fold, [2, 1], embed);
        const of = [...labels.class.keys()].filter((row) => labels.class[row] === 0);
        const clusters = of.map((row) => labels.cluster[row]!);
        const share = purity(of.map((row) => groupOf((labels.image[row]! - 1) / 3)), clusters);
        yield* must(
          new Set(clusters).size === 2 && share > 0.9,
          `normalisation ${normalisation}: two groups that differ in ${
            normalisation === "l2" ? "direction" : "length"
          } are not the two sub-classes`,
        );
      }
      return "";
    }),
};

const fields: Check = {
  name: "fields: those that it can't know are handed on, in spec and state",
  run: (bench) =>
    Effect.gen(function* () {
      const hint = { from: "a later version" };
      const fold = bench.fold({ views: 60, other: 20 });
      const cause = yield* bench.extracted(fold, [3, 1], planted((position) => position % 3));
      const { head } = bench.fold({ views: 60, other: 20 });
      const validated = { ...head, type: "epoch.validated", ...results([0.9, 0]) };
      for (
        const [event, answer] of [[validated, "adaptation.planned"], [cause, "dataset.relabelled"]] as const
      ) {
        const classes = event.state.classes.map((one) => ({ ...one, hint }));
        const more = {
          ...event,
          hint,
          spec: { ...event.spec, hint },
          state: { ...event.state, classes, hint },
        };
        const { seen } = yield* bench.answerTo(yield* bench.publish(more as Event), answer);
        const answered = Answered.parse(jsonIn(seen.data));
        const lost = [
          ...(isDeepStrictEqual(answered.spec, more.spec) ? [] : ["spec"]),
          ...(isDeepStrictEqual(answered.state.hint, hint) ? [] : ["state"]),
          ...(answered.state.classes.every((one) => isDeepStrictEqual(one.hint, hint))
            ? []
            : ["state.classes"]),
        ];
        yield* must(
          lost.length === 0,
          `${answer}: a field that it doesn't know is lost in ${lost.join(" and ")}`,
        );
      }
      return "";
    }),
};

const WithHint = z.looseObject({ hint: z.unknown().optional() });
const Answered = z.object({ spec: WithHint, state: WithHint.extend({ classes: z.array(WithHint) }) });

const odd: Check = {
  name: "odd classes: none, one, equal and zero embeddings",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ empty: 0, single: 1, equal: 30, pair: 30, zero: 20 }, { method: "gs-trs" });
      const embed = (ofClass: number, position: number) =>
        Array.from({ length: 8 }, (_, d) => {
          if (ofClass === 4) return 0;
          if (ofClass === 3) return Number(d === position % 2);
          return 0.25 * d - 1;
        });
      const first = yield* bench.divide(fold, [3, 3, 3, 3, 3], embed);
      const counts = first.event.state.classes.map(({ clusters }) => clusters);
      yield* must(
        [1, 1, 1, 2, 1].every((most, index) => counts[index]! <= most),
        `${counts.join(", ")} sub-classes, although there are 0, 1, 1, 2, 1 different embeddings`,
      );
      yield* bench.divide(fold, [3, 3, 3, 3, 3], embed, first);
      return `${counts.join(", ")} sub-classes`;
    }),
};

const several = (found: readonly string[]) =>
  found[0] === undefined
    ? Effect.succeed("")
    : Effect.fail(broken(`${found[0]}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}`));

/** Reports what the tables of all runs so far break. */
const tables = (rule: Rule, name: string): Check => ({
  name,
  run: ({ faults, tables }) =>
    tables.count === 0
      ? Effect.fail(broken("no labels table was seen"))
      : several(faults.filter((fault) => fault.rule === rule).map(({ message }) => message)),
});

/** Reports what was noted down about messages. */
const noted = (about: keyof Bench["complaints"], name: string): Check => ({
  name,
  run: ({ complaints }) => several([...new Set(complaints[about])]),
});

/** What was seen of all runs. */
export const notes: readonly Check[] = [
  noted("messages", "messages: subject, message id and headers are those of the event"),
  noted(
    "settling",
    "settling: acknowledged after the answer is published, terminated when the run is failed",
  ),
  noted("deadLetters", "dead letters: the message's bytes, on its subject, with the reason"),
  tables("images", "labels: every training image once, in its own class"),
  tables("limits", "labels: never more sub-classes than are allowed"),
  tables("subclasses", "labels: the sub-classes that are used are listed once, sorted"),
  tables("state", "labels: the state counts the sub-classes and changes no limit"),
  tables("layout", "labels: columns as in arrow.json, under the key sha256-<digest>"),
  tables("distance", "labels: distances are those to the mean of the sub-class"),
  tables("summary", "summary: changes and agreement are those of the tables"),
];

const redelivery: Check = {
  name: "redelivery: the same message gives the same labels; what was answered is not answered again",
  run: (bench) =>
    Effect.gen(function* () {
      const { jsm, seen, blobs, settlements } = { ...bench, ...bench.wire };
      const fold = bench.fold({ views: 90, other: 30 });
      const cause = yield* bench.extracted(fold, [3, 1], planted((position) => position % 3));
      const sent = yield* bench.publish(cause);
      const first = yield* bench.dividedAfter(fold, cause, sent);
      const done = yield* bench.idle();

      // as if the process had died before its answer was kept, and its acknowledgements had been lost
      const subject = subjectOf(first.event);
      const bytes = yield* blobs.get(cause.features).pipe(Effect.mapError(({ message }) => broken(message)));
      yield* bench.put(bytes, cause.runId);
      yield* Effect.promise(() => jsm.streams.purge(STREAM, { filter: subject }));
      settlements.length = 0;
      const start = seen.length;
      yield* Effect.promise(async () => {
        await jsm.consumers.delete(STREAM, done.name);
        await jsm.consumers.add(STREAM, done.config).catch(() => undefined); // the candidate was quicker
      });
      const second = yield* bench.dividedAfter(fold, cause, { ...sent, start });
      const { at: _a, ...before } = first.event;
      const { at: _b, ...after } = second.event;
      yield* must(isDeepStrictEqual(before, after), "the same message gives other labels the second time");
      yield* must(first.seen.id === second.seen.id, "the answer's message id differs the second time");
      yield* bench.idle();
      const others = seen.slice(start).filter((message) => message !== second.seen);
      if (others[0]) {
        return yield* broken(`${others[0].subject} is published again, although it was answered`);
      }
      return `${done.delivered.consumer_seq} messages delivered once more`;
    }),
};

const progress: Check = {
  name: "progress: what it tells, if it does, fits the schema",
  run: (bench) => {
    const wrong = bench.wire.progress.find((one) => !RunProgress.safeParse(one).success);
    if (wrong !== undefined) return Effect.fail(broken(`this is no progress: ${JSON.stringify(wrong)}`));
    return Effect.succeed(
      bench.wire.progress.length > 0 ? `${bench.wire.progress.length} messages` : "none is sent",
    );
  },
};

/** In their order: later ones look at what earlier ones have left. */
export const behaviour: readonly Check[] = [
  ...[discovery, consumer, plans, divides, lasting, odd, normalisation, fields, redelivery, progress],
];
