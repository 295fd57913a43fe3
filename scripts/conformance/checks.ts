import { type Event, RunProgress, subjectOf } from "@subtaxa/contracts";
import { Effect } from "effect";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { type Bench, STREAM } from "./bench.ts";
import { announcementOf, type Check, parametersOf } from "./check.ts";
import { planted } from "./data.ts";
import { dividing } from "./dividing.ts";
import { broken, must } from "./error.ts";
import { jsonIn } from "./wire.ts";

const planning = ["run.requested", "backbone.extracted", "epoch.validated"] as const;

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
      yield* bench.put(bytes, `${cause.runId}.${cause.fold}.${cause.epoch}`);
      yield* Effect.promise(() => jsm.streams.purge(STREAM, { filter: subject }));
      settlements.length = 0;
      const start = seen.length;
      const anew = async () => {
        await jsm.consumers.delete(STREAM, done.name);
        await jsm.consumers.add(STREAM, done.config).catch(() => undefined); // the candidate was quicker
      };
      yield* Effect.promise(anew);
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
      // the stream has dropped the second answer as a repetition, and the first is gone
      yield* bench.send(subject, second.seen.data);
      // a server that still removes the files of the deleted consumer can take its successor's: that one can't be updated
      yield* bench.until("the consumer can't be updated", () =>
        jsm.consumers.update(STREAM, done.name, done.config)
          .then(() =>
            true, () => anew().then(() => undefined, () => undefined)));
      yield* bench.idle();
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
  ...[discovery, consumer, plans, ...dividing, fields, redelivery, progress],
];
