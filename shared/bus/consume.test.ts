import { headers } from "@nats-io/nats-core";
import {
  CONTRACT_VERSION,
  divide,
  type Event,
  type EventOf,
  type ShardEvent,
  subjects,
} from "@subtaxa/contracts";
import { Deferred, Effect, Fiber, Queue, Stream } from "effect";
import { expect } from "expect";
import { EXHAUSTED, FACTS } from "./connection.ts";
import { Bus, Connection, consume, reconcileExhausted, registerConsumer } from "./mod.ts";
import {
  blob,
  cancelled,
  nothing,
  recorder,
  runRequested,
  takeAll,
  trained,
  Trouble,
  withNats,
} from "./testing.ts";

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
          yield* Effect.sleep("7 seconds");
          return { events: [trained(event as EventOf<"run.requested">)] };
        })).pipe(Effect.forkChild);
      const live = yield* bus.facts({ filter: subjects.of("epoch.trained") }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.forkChild,
      );
      yield* bus.publish(runRequested("r1"));
      yield* seen.next;
      yield* Fiber.join(live).pipe(Effect.timeout("60 seconds"));
      const settled = Effect.promise(() => jsm.consumers.info(FACTS, "worker")).pipe(
        Effect.repeat({ until: (info) => info.num_ack_pending === 0 }),
        Effect.timeout("60 seconds"),
      );
      expect((yield* settled).num_redelivered).toBe(0);
      expect((yield* seen.next.pipe(Effect.timeoutOption("1500 millis")))._tag).toBe("None");
    }), "3 seconds"),
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
        Effect.timeout("60 seconds"),
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
        Effect.timeout("60 seconds"),
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
      expect(yield* Deferred.await(settled).pipe(Effect.timeout("60 seconds"))).toBe("ignored");
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
      yield* Deferred.await(stopped).pipe(Effect.timeout("60 seconds"));
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
      expect(yield* Deferred.await(settled).pipe(Effect.timeout("60 seconds"))).toBe("done");
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
        Effect.timeout("60 seconds"),
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
        Effect.timeout("60 seconds"),
      );
      yield* notices;
      yield* reconcileExhausted.pipe(Effect.forkChild);
      yield* bus.facts({ filter: subjects.end("dying") }).pipe(
        Stream.take(1),
        Stream.runDrain,
        Effect.timeout("60 seconds"),
      );
      const settled = Effect.promise(() => jsm.consumers.info(EXHAUSTED, "reconciler")).pipe(
        Effect.repeat({ until: (info) => info.num_pending === 0 && info.num_ack_pending === 0 }),
        Effect.timeout("60 seconds"),
      );
      yield* settled;
      expect(yield* bus.newest(subjects.end("healthy"))).toBeNull();
      expect((yield* Effect.promise(() => jsm.streams.info("SUBTAXA_DEAD"))).state.messages).toBe(1);
    })
  ),
);
