import { AckPolicy } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import {
  CONTRACT_VERSION,
  divide,
  type Event,
  type EventOf,
  type Failure,
  initialFoldState,
  type Metrics,
  RunRequest,
  type ShardEvent,
  specOf,
  subjects,
} from "@subtaxa/contracts";
import { currentPlatform, natsServerPath, subtaxaHome } from "@subtaxa/tensorflow";
import { ConfigProvider, Data, Deferred, Effect, Fiber, Layer, Queue, type Scope, Stream } from "effect";
import { expect } from "expect";
import { z } from "zod";
import { EXHAUSTED, FACTS } from "./connection.ts";
import {
  Blobs,
  Bus,
  Connection,
  consume,
  KeyValue,
  type Outcome,
  reconcileExhausted,
  registerConsumer,
  startNatsServer,
} from "./mod.ts";

const binary = natsServerPath(subtaxaHome(), currentPlatform()!);
const blob = { key: "sha256-00", sha256: "0".repeat(64), bytes: 0 };
const runRequested = (runId: string, fold = 0): EventOf<"run.requested"> => {
  const classes = ["a", "b"];
  return {
    type: "run.requested",
    v: CONTRACT_VERSION,
    at: new Date().toISOString(),
    runId,
    fold,
    epoch: 0,
    spec: specOf(RunRequest.parse({ dataset: "d" }), { manifest: blob, classes }),
    state: initialFoldState(classes),
  };
};
const trained = (cause: EventOf<"run.requested">): Event => ({
  ...cause,
  type: "epoch.trained",
  epoch: 1,
  training: { loss: 1, crossEntropy: 1, images: 2, seconds: 1, subclasses: 2 },
});
const perfect: Metrics = {
  ...{ accuracy: 1, precision: 1, recall: 1, fScore: 1, perfectClasses: 2 },
  ...{ falseNegativeVariance: 0, falsePositiveVariance: 0 },
  ...{ falsePositiveRateVariance: 0, falseDiscoveryRateVariance: 0 },
};
const cancelled = (runId: string): Event => ({
  type: "run.cancelled",
  v: CONTRACT_VERSION,
  at: new Date().toISOString(),
  runId,
});

class Trouble extends Data.TaggedError("Trouble")<{ retryable: boolean }> implements Failure {
  readonly reason = { _tag: "Planted" };
  override readonly message = "planted trouble";
}

type Services = Bus | Blobs | Connection | KeyValue | Scope.Scope;

/** One nats-server and one folder for the test; `another` is a second client with a cache of its own. */
const withNats = (
  body: (context: {
    folder: string;
    server: { url: string; port: number; kill: Effect.Effect<void> };
    another: (name: string) => Layer.Layer<Bus | Blobs | Connection>;
  }) => Effect.Effect<void, unknown, Services>,
) =>
async () => {
  const folder = await Deno.makeTempDir({ prefix: "subtaxa-bus-" });
  const program = Effect.gen(function* () {
    const server = yield* startNatsServer({ binary, folder: `${folder}/nats` });
    const client = (name: string) => {
      const env = ConfigProvider.layer(ConfigProvider.fromUnknown({
        NATS_URL: server.url,
        SUBTAXA_DATA: `${folder}/${name}`,
        SUBTAXA_ACK_WAIT: "1 second",
        SUBTAXA_MAX_DELIVER: "3",
      }));
      const connection = Connection.layer(name).pipe(Layer.provide(env));
      const rest = Layer.mergeAll(Bus.layer, Blobs.layer.pipe(Layer.provide(env)), env);
      return Layer.fresh(rest.pipe(Layer.provideMerge(connection), Layer.orDie));
    };
    const env = ConfigProvider.layer(ConfigProvider.fromUnknown({}));
    yield* body({ folder, server, another: client }).pipe(
      Effect.provide(KeyValue.layer("test").pipe(Layer.provide(env), Layer.provideMerge(client("one")))),
    );
  });
  try {
    await Effect.runPromise(Effect.scoped(program));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** Collects what a handler is given; `next` waits for the next one. */
const recorder = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Event>();
  return {
    note: (event: Event) => Queue.offer(queue, event),
    next: Queue.take(queue).pipe(Effect.timeout("15 seconds")),
  };
});
const nothing: Outcome = { events: [] };
const takeAll = { durable: "worker", filters: [subjects.of("run.requested")] };

Deno.test(
  "the routes of an event type are those of durable consumers, without the fixed steps of a run and wildcards",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      expect(yield* bus.routes("epoch.validated")).toEqual([]);
      const { jsm } = yield* Connection;
      const of = (route: string) => subjects.of("epoch.validated", route);
      const consumers: Record<string, string[]> = {
        trainer: [of("train"), subjects.of("run.requested", "train")],
        evaluator: [of("score"), subjects.of("epoch.trained", "validate")],
        several: [of("xmeans"), subjects.of("features.extracted", "xmeans")],
        one: [of("spectral")],
        other: [subjects.of("features.extracted", "deaf")],
        watcher: [subjects.of("epoch.validated")],
        everything: [subjects.all],
      };
      for (const [durable_name, filter_subjects] of Object.entries(consumers)) {
        yield* Effect.promise(() =>
          jsm.consumers.add(FACTS, { durable_name, filter_subjects, ack_policy: AckPolicy.Explicit })
        );
      }
      const filter_subject = of("single");
      yield* Effect.promise(() =>
        jsm.consumers.add(FACTS, { durable_name: "single", filter_subject, ack_policy: AckPolicy.Explicit })
      );
      expect(yield* bus.routes("epoch.validated")).toEqual(["single", "spectral", "xmeans"]);
    })
  ),
);

Deno.test(
  "a fact is published once, replayed in order and then followed live",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const first = runRequested("r1");
      expect((yield* bus.publish(first)).duplicate).toBe(false);
      expect((yield* bus.publish(first)).duplicate).toBe(true);
      yield* bus.publish(runRequested("r2"));
      const live = yield* bus.facts({ filter: subjects.all }).pipe(
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild,
      );
      yield* bus.publish(trained(first));
      const facts = yield* Fiber.join(live);
      expect(facts.map(({ event, seq }) => [seq, event.type, "runId" in event && event.runId])).toEqual([
        [1, "run.requested", "r1"],
        [2, "run.requested", "r2"],
        [3, "epoch.trained", "r1"],
      ]);
      expect((yield* bus.history(subjects.run("r1"))).map((fact) => fact.seq)).toEqual([1, 3]);
      expect(yield* bus.history(subjects.run("nobody"))).toEqual([]);
      expect(yield* bus.newest(subjects.fold("r1", 0))).toEqual({
        seq: 3,
        subject: "subtaxa.epoch.trained.validate.r1.0",
      });
      expect(yield* bus.newest(subjects.fold("r1", 1))).toBe(null);
    })
  ),
);

Deno.test(
  "a run ends once: the second of two ends is dropped by the server",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      yield* bus.publish(cancelled("r1"));
      const failed: Event = {
        type: "run.failed",
        v: CONTRACT_VERSION,
        at: new Date().toISOString(),
        runId: "r1",
        error: { tag: "X/Y", message: "late" },
      };
      expect((yield* bus.publish(failed)).duplicate).toBe(true);
      expect((yield* bus.history(subjects.end("r1"))).map(({ event }) => event.type)).toEqual([
        "run.cancelled",
      ]);
    })
  ),
);

Deno.test(
  "the handler's facts are published, then the message is acknowledged; work outlasting the ack wait is not redelivered",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { jsm } = yield* Connection;
      const seen = yield* recorder;
      yield* consume({ ...takeAll }, (event) =>
        Effect.gen(function* () {
          yield* seen.note(event);
          yield* Effect.sleep("2500 millis"); // ack wait is 1 second
          return { events: [trained(event as EventOf<"run.requested">)] };
        })).pipe(Effect.forkChild);
      const live = yield* bus.facts({ filter: subjects.of("epoch.trained") }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.forkChild,
      );
      yield* bus.publish(runRequested("r1"));
      yield* seen.next;
      yield* Fiber.join(live).pipe(Effect.timeout("10 seconds"));
      const settled = Effect.promise(() => jsm.consumers.info(FACTS, "worker")).pipe(
        Effect.repeat({ until: (info) => info.num_ack_pending === 0 }),
        Effect.timeout("5 seconds"),
      );
      expect((yield* settled).num_redelivered).toBe(0);
      expect((yield* seen.next.pipe(Effect.timeoutOption("1500 millis")))._tag).toBe("None");
    })
  ),
);

Deno.test(
  "a message that is not the newest of its fold, or whose run has ended, is acknowledged unhandled",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const seen = yield* recorder;
      const outcomes = yield* Queue.unbounded<string>();
      const old = runRequested("old");
      yield* bus.publish(old);
      yield* bus.publish(trained(old));
      yield* bus.publish(runRequested("ended"));
      yield* bus.publish(cancelled("ended"));
      yield* bus.publish(runRequested("fresh", 0));
      yield* bus.publish(runRequested("fresh", 1)); // another fold doesn't supersede
      yield* consume(
        { ...takeAll, onSettled: ({ outcome }) => Queue.offer(outcomes, outcome).pipe(Effect.asVoid) },
        (event) => seen.note(event).pipe(Effect.as(nothing)),
      ).pipe(Effect.forkChild);
      const got = yield* Effect.all([1, 2, 3, 4].map(() => Queue.take(outcomes))).pipe(
        Effect.timeout("10 seconds"),
      );
      expect(got).toEqual(["ignored", "ignored", "done", "done"]);
      expect(yield* seen.next).toMatchObject({ runId: "fresh", fold: 0 });
      expect(yield* seen.next).toMatchObject({ runId: "fresh", fold: 1 });
    })
  ),
);

Deno.test(
  "a shard's chain is its own: only its newest fact is handled, and only while the fact that it belongs to is the fold's newest",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const outcomes = yield* Queue.unbounded<string>();
      const requested = runRequested("r");
      const shard = (number: number, done: number, more: Partial<ShardEvent> = {}): ShardEvent => ({
        ...{ v: CONTRACT_VERSION, type: "shard.advanced", at: requested.at, runId: "r", fold: 0, epoch: 0 },
        of: "run.requested",
        shard: number,
        division: divide(1_000, 1),
        portions: Array.from({ length: done }, () => blob),
        ...more,
      });
      yield* bus.publish(requested);
      yield* bus.publish(shard(0, 0));
      yield* bus.publish(shard(0, 0)); // dropped
      yield* bus.publish(shard(0, 1));
      yield* bus.publish(shard(1, 0));
      yield* bus.publish(shard(2, 0, { epoch: 7 }));
      yield* bus.publish(shard(3, 0, { of: "epoch.trained" }));
      expect((yield* bus.newestFact(subjects.shard("r", 0, 0)))!.event).toMatchObject({ portions: [blob] });
      yield* consume(
        {
          durable: "worker",
          filters: [subjects.of("run.requested"), subjects.of("shard.advanced")],
          onSettled: ({ outcome }) => Queue.offer(outcomes, outcome).pipe(Effect.asVoid),
        },
        (event) =>
          Effect.gen(function* () {
            if (event.type !== "shard.advanced" || event.shard !== 1) return nothing;
            // another instance puts the shards together meanwhile, and removes what this one needs
            yield* bus.publish(trained(requested));
            return yield* new Trouble({ retryable: false });
          }),
      ).pipe(Effect.forkChild);
      const got = yield* Effect.all(Array.from({ length: 6 }, () => Queue.take(outcomes))).pipe(
        Effect.timeout("10 seconds"),
      );
      // the request, shard 0 with 0 and 1 portions, shard 1, two of other facts
      expect(got).toEqual(["done", "ignored", "done", "ignored", "ignored", "ignored"]);
      expect(yield* bus.newest(subjects.end("r"))).toBe(null);
    })
  ),
);

Deno.test(
  "who is stopped hands its message back at once; on the last delivery it finishes first",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { jsm } = yield* Connection;
      const seen = yield* recorder;
      const go = yield* Deferred.make<void>();
      yield* bus.publish(runRequested("r1"));
      // three deliveries are allowed
      for (const isLast of [false, false, true]) {
        const worker = yield* consume({ ...takeAll }, (event) =>
          Effect.gen(function* () {
            yield* seen.note(event);
            yield* Deferred.await(go);
            return { events: [trained(event as EventOf<"run.requested">)] };
          })).pipe(Effect.forkChild);
        yield* seen.next;
        if (isLast) yield* Deferred.succeed(go, undefined).pipe(Effect.delay("500 millis"), Effect.forkChild);
        yield* Fiber.interrupt(worker);
        const answered = yield* bus.newest(subjects.of("epoch.trained"));
        expect(answered !== null).toBe(isLast);
      }
      const info = yield* Effect.promise(() => jsm.consumers.info(FACTS, "worker"));
      expect([info.num_ack_pending, info.num_pending]).toEqual([0, 0]);
      expect(yield* bus.newest(subjects.end("r1"))).toBeNull();
    })
  ),
);

Deno.test(
  "who has been overtaken publishes nothing",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const settled = yield* Deferred.make<string>();
      const cause = runRequested("r1");
      yield* consume({
        ...takeAll,
        onSettled: ({ outcome }) => Effect.asVoid(Deferred.succeed(settled, outcome)),
      }, (event) =>
        // another instance answers, and the fold goes on, before this one comes to it
        Effect.gen(function* () {
          yield* bus.publish(trained(cause));
          return { events: [{ ...trained(event as EventOf<"run.requested">), epoch: 7 } as Event] };
        })).pipe(Effect.forkChild);
      yield* bus.publish(cause);
      expect(yield* Deferred.await(settled).pipe(Effect.timeout("15 seconds"))).toBe("ignored");
      const facts = yield* bus.history(subjects.run("r1"));
      expect(facts.map(({ event }) => "epoch" in event ? event.epoch : event.type)).toEqual([0, 1]);
    })
  ),
);

Deno.test(
  "a cancellation interrupts the handler",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const started = yield* Deferred.make<void>();
      const stopped = yield* Deferred.make<void>();
      yield* consume(takeAll, () =>
        Deferred.succeed(started, undefined).pipe(
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)),
        )).pipe(Effect.forkChild);
      yield* bus.publish(runRequested("r1"));
      yield* Deferred.await(started);
      yield* bus.publish(cancelled("r1"));
      yield* Deferred.await(stopped).pipe(Effect.timeout("5 seconds"));
    })
  ),
);

Deno.test(
  "an end that the stream doesn't take stops neither the handler nor the publishing of what it returns",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { nc, jsm } = yield* Connection;
      /** Heard by all who listen, but refused by the stream; afterwards, those who listen have been told. */
      const sendRefused = Effect.promise(async () => {
        const h = headers();
        h.set("Nats-Expected-Last-Sequence", "1000000");
        nc.publish(subjects.end("r1").replace("*", "cancelled"), JSON.stringify(cancelled("r1")), {
          headers: h,
        });
        await nc.flush();
      });
      const settled = yield* Deferred.make<string>();
      const publish: Bus["Service"]["publish"] = (event) =>
        sendRefused.pipe(Effect.andThen(bus.publish(event)));
      yield* bus.publish(runRequested("r1"));
      yield* consume({
        ...takeAll,
        onSettled: ({ outcome }) => Effect.asVoid(Deferred.succeed(settled, outcome)),
      }, (event) =>
        sendRefused.pipe(
          Effect.andThen(bus.newest(subjects.end("r1"))), // as long as the look-up of who listens takes
          Effect.as({ events: [trained(event as EventOf<"run.requested">)] }),
        )).pipe(Effect.provideService(Bus, Bus.of({ ...bus, publish })), Effect.forkChild);
      expect(yield* Deferred.await(settled).pipe(Effect.timeout("15 seconds"))).toBe("done");
      const facts = yield* bus.history(subjects.run("r1"));
      expect(facts.map(({ event }) => event.type)).toEqual(["run.requested", "epoch.trained"]);
      const info = yield* Effect.promise(() => jsm.consumers.info(FACTS, "worker"));
      expect([info.num_ack_pending, info.num_pending]).toEqual([0, 0]);
    })
  ),
);

Deno.test(
  "a retryable failure is redelivered; a final one is a dead letter at once and fails the run",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { jsm } = yield* Connection;
      const seen = yield* recorder;
      let tries = 0;
      yield* consume(takeAll, (event) =>
        Effect.gen(function* () {
          yield* seen.note(event);
          if ("runId" in event && event.runId === "final") return yield* new Trouble({ retryable: false });
          if (++tries === 1) return yield* new Trouble({ retryable: true });
          return nothing;
        })).pipe(Effect.forkChild);
      yield* bus.publish(runRequested("flaky"));
      yield* bus.publish(runRequested("final"));
      const order = [yield* seen.next, yield* seen.next, yield* seen.next].map((event) =>
        "runId" in event && event.runId
      );
      expect(order).toEqual(["flaky", "final", "flaky"]);
      const end = yield* bus.facts({ filter: subjects.end("final") }).pipe(Stream.take(1), Stream.runCollect);
      expect(end[0]!.event).toMatchObject({
        type: "run.failed",
        error: { tag: "Trouble/Planted", message: "planted trouble" },
      });
      const dead = yield* Effect.promise(() =>
        jsm.streams.getMessage("SUBTAXA_DEAD", { last_by_subj: "dead.>" })
      );
      expect(dead!.header.get("subtaxa-error")).toBe("Trouble/Planted");
      expect(dead!.header.get("subtaxa-consumer")).toBe("worker");
      expect(JSON.parse(dead!.string())).toMatchObject({ type: "run.requested", runId: "final" });
    })
  ),
);

Deno.test(
  "every fact of a run that can't be handled fails the run, dataset.relabelled too",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const filters = [subjects.of("dataset.relabelled")];
      yield* consume({ durable: "worker", filters }, () => new Trouble({ retryable: false })).pipe(
        Effect.forkChild,
      );
      yield* bus.publish({
        ...runRequested("r1"),
        type: "dataset.relabelled",
        epoch: 1,
        changes: [],
        agreement: 1,
      });
      const end = yield* bus.facts({ filter: subjects.end("r1") }).pipe(Stream.take(1), Stream.runCollect);
      expect(end[0]!.event).toMatchObject({ type: "run.failed", runId: "r1" });
    })
  ),
);

Deno.test(
  "a message that can't be decoded is a dead letter and fails the run its subject names",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { js } = yield* Connection;
      yield* consume(takeAll, () => Effect.succeed(nothing)).pipe(Effect.forkChild);
      yield* Effect.promise(() => js.publish("subtaxa.run.requested.train.r7.0", "{not json"));
      const end = yield* bus.facts({ filter: subjects.end("r7") }).pipe(Stream.take(1), Stream.runCollect);
      expect(end[0]!.event).toMatchObject({ type: "run.failed", error: { tag: "MessageError/Undecodable" } });
    })
  ),
);

Deno.test(
  "a message whose process dies at every delivery fails the run",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { js, jsm } = yield* Connection;
      // a consumer that takes the message and never answers, as a killed process would
      yield* registerConsumer(takeAll);
      yield* bus.publish(runRequested("r1"));
      yield* reconcileExhausted.pipe(Effect.forkChild);
      const consumer = yield* Effect.promise(() => js.consumers.get(FACTS, "worker"));
      yield* Effect.promise(() => consumer.next({ expires: 5_000 }))
        .pipe(Effect.repeat({ times: 3 }), Effect.forkChild);
      const end = yield* bus.facts({ filter: subjects.end("r1") }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.timeout("20 seconds"),
      );
      expect(end[0]!.event).toMatchObject({
        type: "run.failed",
        error: { tag: "MessageError/Exhausted", message: expect.stringMatching(/a crash.*rolled out/) },
      });
      expect((yield* Effect.promise(() => jsm.streams.info("SUBTAXA_DEAD"))).state.messages).toBe(1);
    })
  ),
);

Deno.test(
  "a run that went on although its message ran out of deliveries is not failed",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { js, jsm } = yield* Connection;
      yield* registerConsumer(takeAll);
      const cause = runRequested("healthy");
      yield* bus.publish(cause);
      yield* bus.publish(trained(cause));
      yield* bus.publish(runRequested("dying")); // its notice comes second
      const consumer = yield* Effect.promise(() => js.consumers.get(FACTS, "worker"));
      yield* Effect.promise(() => consumer.next({ expires: 1_000 })).pipe(Effect.forever, Effect.forkChild);
      const notices = Effect.promise(() => jsm.streams.info(EXHAUSTED)).pipe(
        Effect.repeat({ until: ({ state }) => state.messages === 2 }),
        Effect.timeout("20 seconds"),
      );
      yield* notices;
      yield* reconcileExhausted.pipe(Effect.forkChild);
      yield* bus.facts({ filter: subjects.end("dying") }).pipe(
        Stream.take(1),
        Stream.runDrain,
        Effect.timeout("20 seconds"),
      );
      const settled = Effect.promise(() => jsm.consumers.info(EXHAUSTED, "reconciler")).pipe(
        Effect.repeat({ until: (info) => info.num_pending === 0 && info.num_ack_pending === 0 }),
        Effect.timeout("20 seconds"),
      );
      yield* settled;
      expect(yield* bus.newest(subjects.end("healthy"))).toBeNull();
      expect((yield* Effect.promise(() => jsm.streams.info("SUBTAXA_DEAD"))).state.messages).toBe(1);
    })
  ),
);

Deno.test(
  "an event that is larger than the server takes is a final failure that says so",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const limit = yield* bus.maxPayload;
      expect(limit).toBe(1024 * 1024); // nats-server's default
      const { type: _, ...head } = runRequested("big");
      const error = yield* Effect.flip(bus.publish({
        ...head,
        type: "fold.completed",
        metrics: perfect,
        confusion: Array.from({ length: 1000 }, () => new Array<number>(1000).fill(0)),
        predictions: blob,
      }));
      expect(error).toMatchObject({ reason: { _tag: "TooLarge", limit }, retryable: false });
      expect(error.message).toMatch(
        /publish fold\.completed of big: its 2\d{6} bytes .* 1048576 .*max_payload/,
      );
    })
  ),
);

Deno.test(
  "after the server was killed and restarted, consuming and following go on",
  withNats(({ server, folder }) =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const seen = yield* recorder;
      yield* consume(takeAll, (event) => seen.note(event).pipe(Effect.as(nothing))).pipe(Effect.forkChild);
      const live = yield* bus.facts({ filter: subjects.of("run.requested") }).pipe(
        Stream.take(2),
        Stream.runCollect,
        Effect.forkChild,
      );
      yield* bus.publish(runRequested("before"));
      expect(yield* seen.next).toMatchObject({ runId: "before" });
      yield* server.kill;
      yield* startNatsServer({ binary, folder: `${folder}/nats`, port: server.port });
      yield* bus.publish(runRequested("after"));
      // an acknowledgement lost in the crash may bring the first one back
      yield* seen.next.pipe(Effect.repeat({ until: (event) => "runId" in event && event.runId === "after" }));
      const facts = yield* Fiber.join(live).pipe(Effect.timeout("30 seconds"));
      expect(facts.map(({ event }) => "runId" in event && event.runId)).toEqual(["before", "after"]);
    })
  ),
);

Deno.test(
  "blobs are addressed by content, verified, cached, shared between machines, and removed",
  withNats(({ another, folder }) =>
    Effect.gen(function* () {
      const blobs = yield* Blobs;
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      const ref = yield* blobs.put(bytes);
      expect(yield* blobs.put(bytes)).toEqual(ref);
      const elsewhere = Effect.gen(function* () {
        const there = yield* Blobs;
        expect(yield* there.get(ref)).toEqual(bytes);
        const path = yield* there.file(ref);
        expect(path.startsWith(`${folder}/two/`)).toBe(true);
        return path;
      }).pipe(Effect.provide(another("two")));
      const path = yield* elsewhere;
      // a damaged cache file is noticed by the next process and fetched anew
      yield* Effect.promise(() => Deno.writeFile(path, bytes.slice(1)));
      yield* elsewhere;
      yield* blobs.remove(ref);
      yield* blobs.remove(ref);
      const error = yield* Effect.flip(blobs.get(ref));
      expect(error).toMatchObject({
        _tag: "BusError",
        reason: { _tag: "BlobMissing", key: ref.key },
        retryable: false,
      });
    })
  ),
);

Deno.test(
  "equal content of two owners is two blobs: removing one leaves the other, here and elsewhere",
  withNats(({ another }) =>
    Effect.gen(function* () {
      const blobs = yield* Blobs;
      const bytes = new Uint8Array([1, 2, 3]);
      const [one, two] = [yield* blobs.put(bytes, "one"), yield* blobs.put(bytes, "two")];
      expect(one.sha256).toBe(two.sha256);
      yield* blobs.remove(one);
      expect(yield* blobs.get(two)).toEqual(bytes);
      expect(yield* Blobs.use((there) => there.get(two)).pipe(Effect.provide(another("two")))).toEqual(bytes);
      expect((yield* Effect.flip(blobs.get(one))).reason._tag).toBe("BlobMissing");
    })
  ),
);

Deno.test(
  "a key is claimed by the first writer",
  withNats(() =>
    Effect.gen(function* () {
      const kv = yield* KeyValue;
      expect(yield* kv.get("k")).toBe(null);
      const values = yield* Effect.all(["a", "b", "c"].map((value) => kv.claim("k", value)), {
        concurrency: 3,
      });
      expect(new Set(values).size).toBe(1);
      expect(yield* kv.get("k")).toBe(values[0]);
      yield* kv.remove("k");
      expect(yield* kv.claim("k", "d")).toBe("d");
      yield* kv.put("k", "e");
      yield* kv.put("l", "f");
      expect([yield* kv.get("k"), yield* kv.get("l")]).toEqual(["e", "f"]);
    })
  ),
);

Deno.test(
  "progress reaches listeners; what doesn't fit the schema is left out",
  withNats(() =>
    Effect.gen(function* () {
      const bus = yield* Bus;
      const { nc } = yield* Connection;
      const heard = yield* bus.listen("progress.run.r1", z.object({ done: z.number() })).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.forkChild,
      );
      const send = Effect.sync(() => nc.publish("progress.run.r1", "{no JSON")).pipe(
        Effect.andThen(bus.progress("progress.run.r1", { done: "no" })),
        Effect.andThen(bus.progress("progress.run.r1", { done: 3 })),
        Effect.andThen(Effect.sleep("20 millis")),
      );
      yield* Effect.raceFirst(Fiber.join(heard), Effect.forever(send)).pipe(
        Effect.tap((values) => Effect.sync(() => expect(values).toEqual([{ done: 3 }]))),
        Effect.timeout("5 seconds"),
      );
    })
  ),
);
