import { AckPolicy } from "@nats-io/jetstream";
import { CONTRACT_VERSION, type Event, subjects } from "@subtaxa/contracts";
import { Effect, Fiber, Stream } from "effect";
import { expect } from "expect";
import { z } from "zod";
import { FACTS } from "./connection.ts";
import { Blobs, Bus, Connection, consume, KeyValue, startNatsServer } from "./mod.ts";
import {
  binary,
  blob,
  cancelled,
  nothing,
  perfect,
  recorder,
  runRequested,
  takeAll,
  trained,
  withNats,
} from "./testing.ts";

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
      const facts = yield* Fiber.join(live).pipe(Effect.timeout("60 seconds"));
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
        Effect.timeout("60 seconds"),
      );
    })
  ),
);
