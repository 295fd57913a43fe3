import { ClustererAnnouncement, discoverySubject, RunProgress, subjectOf } from "@subtaxa/contracts";
import { Ajv2020 } from "ajv/2020";
import { Effect, type Scope } from "effect";
import { isDeepStrictEqual } from "node:util";
import { type Bench, STREAM, wellSent } from "./bench.ts";
import { planted, purity } from "./data.ts";
import { broken, type ConformanceError, must } from "./error.ts";
import type { Rule } from "./labels.ts";

/** One thing that the contract demands. It ends with a remark for the report, or null where it does not apply. */
export interface Check {
  readonly name: string;
  readonly run: (bench: Bench) => Effect.Effect<string | null, ConformanceError, Scope.Scope>;
}

const planning = ["run.requested", "backbone.extracted", "epoch.validated"] as const;

export const announcementOf = ({ bus, name }: Bench) =>
  bus.ask(discoverySubject.clusterer, ClustererAnnouncement).pipe(
    Effect.mapError(({ message }) => broken(message)),
    Effect.flatMap((all) => {
      const mine = all.filter((one) => one.name === name);
      return mine[0] ? Effect.succeed({ first: mine[0], instances: mine.length }) : Effect.fail(
        broken(`nobody named '${name}' answers on ${discoverySubject.clusterer} as the schema says`),
      );
    }),
  );

export const parametersOf = (announcement: ClustererAnnouncement) =>
  Effect.try({
    try: () => new Ajv2020({ strict: false, validateFormats: false }).compile(announcement.parameters),
    catch: (cause) => broken(`its parameters are no JSON Schema: ${cause}`),
  });

const discovery: Check = {
  name: "discovery: announces itself, with a JSON Schema of its parameters",
  run: (bench) =>
    Effect.gen(function* () {
      const { first, instances } = yield* announcementOf(bench);
      const fits = yield* parametersOf(first);
      yield* must(fits({}), "a run without parameters must fit its schema");
      return `version ${first.version}, ${instances} alive`;
    }),
};

const consumer: Check = {
  name: "consumer: durable, pulled, acknowledged explicitly, on its route alone",
  run: (bench) =>
    Effect.gen(function* () {
      const info = yield* bench.until("a durable consumer on its route", bench.consumerInfo);
      const { durable_name, ack_policy, deliver_subject, filter_subjects = [], max_deliver = -1 } =
        info.config;
      yield* must(durable_name !== undefined, "the consumer is not durable");
      yield* must(deliver_subject === undefined, "the consumer pushes: it must be pulled");
      yield* must(
        ack_policy === "explicit",
        `the consumer acknowledges '${ack_policy}' instead of 'explicit'`,
      );
      yield* must(max_deliver > 0, "the consumer delivers for ever: set max_deliver");
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
        const more = type === "epoch.validated"
          ? {
            loss: 1,
            metrics: zeroMetrics,
            confusion: [],
            falseNegatives: [0.9, 0, 0.5],
            converged: null,
          }
          : {};
        const spec = epoch
          ? head.spec
          : { ...head.spec, pretrained: { key: "p", sha256: "0".repeat(64), bytes: 0 } };
        const cause = { ...head, spec, epoch, type, ...more } as Parameters<Bench["publish"]>[0];
        const start = bench.seen.length;
        yield* bench.publish(cause);
        const { event, seen } = yield* bench.next(head.runId, "adaptation.planned", start);
        yield* wellSent(seen);
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

const lasting: Check = {
  name: "ids: a sub-class keeps its id from epoch to epoch, and no id is given twice",
  run: (bench) =>
    Effect.gen(function* () {
      const fold = bench.fold({ views: 90, other: 30 });
      const embed = (wave: number) => planted((position) => position % 3, 32, wave);
      const first = yield* bench.divide(fold, [3, 1], embed(0));
      const second = yield* bench.divide(fold, [3, 1], embed(1), first);
      const idOf = new Map(
        Array.from(first.labels.image, (image, row) => [image, first.labels.cluster[row]!]),
      );
      const rows = [...second.labels.image.keys()];
      const kept = rows.filter((row) => idOf.get(second.labels.image[row]!) === second.labels.cluster[row]);
      const share = kept.length / rows.length;
      yield* must(share > 0.95, `only ${(100 * share).toFixed(0)} % of the images keep their sub-class's id`);
      const whole = yield* bench.divide(fold, [1, 1], embed(1), second);
      const again = yield* bench.divide(fold, [3, 1], embed(2), whole);
      const faults = bench.faults.filter(({ rule }) => rule === "ids");
      if (faults[0]) return yield* broken(faults[0].message);
      const ids = ({ labels }: typeof again) =>
        labels.subclasses.filter((one) => one.class === 0).map(({ id }) => id);
      return [first, second, whole, again].map((one) => ids(one).join(" ")).join(" → ");
    }),
};

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

/** Reports what the tables of all runs so far break. */
const tables = (rule: Rule, name: string): Check => ({
  name,
  run: ({ faults, tables }) => {
    if (tables.count === 0) return Effect.fail(broken("no labels table was seen"));
    const found = faults.filter((fault) => fault.rule === rule);
    return found[0]
      ? Effect.fail(broken(`${found[0].message}${found.length > 1 ? ` (and ${found.length - 1} more)` : ""}`))
      : Effect.succeed("");
  },
});

const redelivery: Check = {
  name: "redelivery: the same message gives the same labels; what was answered is not answered again",
  run: (bench) =>
    Effect.gen(function* () {
      const { jsm, seen, blobs } = bench;
      const fold = bench.fold({ views: 90, other: 30 });
      const cause = yield* bench.extracted(fold, [3, 1], planted((position) => position % 3));
      yield* bench.publish(cause);
      const first = yield* bench.dividedAfter(fold, cause, 0);
      const done = yield* bench.idle();

      // as if the process had died before its answer was kept, and its acknowledgements had been lost
      const subject = subjectOf(first.event);
      const bytes = yield* blobs.get(cause.features).pipe(Effect.mapError(({ message }) => broken(message)));
      yield* bench.put(bytes, cause.runId);
      yield* Effect.promise(() => jsm.streams.purge(STREAM, { filter: subject }));
      const start = seen.length;
      yield* Effect.promise(async () => {
        await jsm.consumers.delete(STREAM, done.name);
        await jsm.consumers.add(STREAM, done.config).catch(() => undefined); // the candidate was quicker
      });
      const second = yield* bench.dividedAfter(fold, cause, start);
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
    const wrong = bench.progress.find((one) => !RunProgress.safeParse(one).success);
    if (wrong !== undefined) return Effect.fail(broken(`this is no progress: ${JSON.stringify(wrong)}`));
    return Effect.succeed(bench.progress.length > 0 ? `${bench.progress.length} messages` : "none is sent");
  },
};

/** In their order: later ones look at what earlier ones have left. */
export const behaviour: readonly Check[] = [
  ...[discovery, consumer, plans, divides, lasting, odd, redelivery, progress],
  tables("images", "labels: every training image once, in its own class, at a finite distance"),
  tables("limits", "labels: never more sub-classes than are allowed"),
  tables("subclasses", "labels: the sub-classes that are used are listed once, sorted"),
  tables("state", "labels: the state counts the sub-classes and changes no limit"),
];
