import { Blobs, Bus, Connection } from "@subtaxa/bus";
import {
  type BlobRef,
  type ClassState,
  CONTRACT_VERSION,
  decodeLabels,
  encodeFeatures,
  encodeImages,
  Event,
  type EventOf,
  type EventType,
  type Images,
  initialFoldState,
  type Labels,
  messageId,
  RunRequest,
  specOf,
  subjectOf,
} from "@subtaxa/contracts";
import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Msg } from "@nats-io/nats-core";
import { Effect, type Scope } from "effect";
import { broken, type ConformanceError, must, setup } from "./error.ts";
import { type Fault, faultsOf, type Given } from "./labels.ts";

export const STREAM = "SUBTAXA";

/** A message as it went over the wire, whether the stream kept it or dropped it as a repetition. */
export interface Seen {
  readonly subject: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly event: Event | null;
  readonly data: Uint8Array;
}

/** A fold that the candidate is to divide. */
export interface Fold {
  readonly head: Omit<EventOf<"run.requested">, "type">;
  readonly images: Images;
}

/** What came of dividing a fold. */
export interface Divided {
  readonly event: EventOf<"dataset.relabelled">;
  readonly labels: Labels;
  readonly seen: Seen;
}

const text = new TextDecoder();

const eventIn = (data: Uint8Array): Event | null => {
  try {
    return Event.parse(JSON.parse(text.decode(data)));
  } catch {
    return null;
  }
};

const seenOf = ({ subject, headers, data }: Msg): Seen => ({
  subject,
  id: headers?.get("Nats-Msg-Id") ?? "",
  headers: Object.fromEntries(headers?.keys().map((name) => [name.toLowerCase(), headers.get(name)]) ?? []),
  event: eventIn(data),
  data,
});

/** Everything around a clusterer, as it looks from the clusterer's side. */
export const makeBench = (name: string, patience: number) =>
  Effect.gen(function* () {
    const { nc, js, jsm } = yield* Connection;
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const seen: Seen[] = [];
    const progress: unknown[] = [];
    const faults: Fault[] = [];
    const tables = { count: 0 };
    const record = (subject: string, callback: (message: Msg) => void) =>
      Effect.acquireRelease(
        Effect.sync(() => nc.subscribe(subject, { callback: (_error, message) => callback(message) })),
        (subscription) => Effect.sync(() => subscription.unsubscribe()),
      );
    yield* record("subtaxa.>", (message) => seen.push(seenOf(message)));
    yield* record("dead.>", (message) => seen.push(seenOf(message)));
    yield* record("progress.run.*", ({ data }) => progress.push(JSON.parse(text.decode(data))));

    /** What `ask` gives once it is not undefined. */
    const until = <A>(
      what: string,
      ask: () => A | undefined | Promise<A | undefined>,
      seconds = patience,
    ): Effect.Effect<A, ConformanceError> =>
      Effect.gen(function* () {
        const deadline = performance.now() + 1000 * seconds;
        for (;;) {
          const answer = yield* Effect.promise(async () => await ask());
          if (answer !== undefined) return answer;
          if (performance.now() > deadline) return yield* broken(`${what}: not within ${seconds} s`);
          yield* Effect.sleep("20 millis");
        }
      });

    /** The clusterer's durable consumer. */
    const consumerInfo = async (): Promise<ConsumerInfo | undefined> => {
      for await (const info of jsm.consumers.list(STREAM)) {
        const { filter_subject, filter_subjects = [] } = info.config;
        const filters = filter_subject === undefined ? filter_subjects : [filter_subject];
        if (filters.some((filter) => filter.startsWith(`subtaxa.features.extracted.${name}.`))) return info;
      }
    };
    /** All that was sent to the clusterer has been settled. */
    const idle = (seconds = patience) =>
      until("the messages on its route are not all acknowledged", async () => {
        const info = await consumerInfo();
        return info && info.num_pending === 0 && info.num_ack_pending === 0 ? info : undefined;
      }, seconds).pipe(Effect.tap(Effect.sleep("300 millis")));

    /** The next message of a run with this type after the first `after` messages. */
    const next = <T extends EventType>(runId: string, type: T, after = 0, seconds = patience) =>
      until(`${type} of run ${runId}`, () => {
        const mine = seen.slice(after).filter(({ subject }) => subject.split(".")[4] === runId);
        const found = mine.find(({ subject }) => subject.startsWith(`subtaxa.${type}.`));
        if (found) return found;
        const failed = mine.find(({ event }) => event?.type === "run.failed")?.event;
        return failed?.type === "run.failed" ? failed.error.message : undefined;
      }, seconds).pipe(
        Effect.flatMap((found) =>
          typeof found === "string"
            ? Effect.fail(broken(`the run failed instead of ${type}: ${found}`))
            : found.event?.type === type
            ? Effect.succeed({ seen: found, event: found.event as EventOf<T> })
            : Effect.fail(broken(`what it publishes as ${type} doesn't fit the schema`))
        ),
      );

    let runs = 0;
    const session = crypto.randomUUID().slice(0, 8);
    /** A fold with so many training images per class; the indices have gaps, as those of a real fold. */
    const fold = (sizes: Readonly<Record<string, number>>, request: Partial<RunRequest> = {}): Fold => {
      const classes = Object.keys(sizes);
      const classOf = Object.values(sizes).flatMap((size, index) => new Array<number>(size).fill(index));
      const pinned = { manifest: { key: "none", sha256: "0".repeat(64), bytes: 0 }, classes };
      const asked = { dataset: "conformance", clusterer: name, minClusterSize: 4, seed: 7, ...request };
      return {
        head: {
          v: CONTRACT_VERSION,
          at: new Date().toISOString(),
          runId: `conformance-${session}-${++runs}`,
          fold: 0,
          epoch: 1,
          spec: specOf(RunRequest.parse(asked), pinned),
          state: initialFoldState(classes),
        },
        images: {
          image: Uint32Array.from(classOf, (_, i) => 3 * i + 1),
          class: Uint16Array.from(classOf),
        },
      };
    };
    const put = (bytes: Uint8Array, owner?: string): Effect.Effect<BlobRef, ConformanceError> =>
      blobs.put(bytes, owner).pipe(Effect.mapError(({ message }) => setup(message)));
    const publish = (event: Event) =>
      bus.publish(event).pipe(Effect.mapError(({ message }) => setup(message)));
    /** Limits per class, in the order of the classes. */
    const allowing = (state: readonly ClassState[], limits: readonly number[]): ClassState[] =>
      state.map((one, index) => ({ ...one, allowedClusters: limits[index]! }));

    /** The event that asks for a fold to be divided; `rows` are the embeddings of the classes that may be. */
    const extracted = (
      { head, images }: Fold,
      limits: readonly number[],
      embed: (ofClass: number, position: number) => readonly number[],
      after?: Divided,
    ): Effect.Effect<EventOf<"features.extracted">, ConformanceError> =>
      Effect.gen(function* () {
        const state = after?.event.state ?? head.state;
        const positions = [...images.image.keys()].filter((position) => limits[images.class[position]!]! > 1);
        const rows = positions.map((position) => embed(images.class[position]!, position));
        const features = encodeFeatures({
          image: Uint32Array.from(positions, (position) => images.image[position]!),
          values: Float32Array.from(rows.flat()),
          dimension: rows[0]?.length ?? 32,
        });
        return {
          ...head,
          type: "features.extracted",
          at: new Date().toISOString(),
          epoch: after ? after.event.epoch + 1 : head.epoch,
          state: { ...state, classes: allowing(state.classes, limits) },
          features: yield* put(features, head.runId),
          images: yield* put(encodeImages(images)),
        };
      });

    /** What the candidate answers to `features.extracted`; the faults of its table are kept. */
    const dividedAfter = (
      fold: Fold,
      cause: EventOf<"features.extracted">,
      start: number,
      previous?: Labels,
    ) =>
      Effect.gen(function* () {
        const { event, seen: message } = yield* next(cause.runId, "dataset.relabelled", start);
        yield* wellSent(message);
        const { labels: ref, classes } = event.state;
        if (!ref) return yield* broken("dataset.relabelled names no labels");
        const bytes = yield* blobs.get(ref).pipe(Effect.mapError(({ message }) => broken(message)));
        const labels = yield* Effect.try({
          try: () => decodeLabels(bytes),
          catch: (cause) => broken(String(cause)),
        });
        const given: Given = {
          classes: cause.state.classes,
          images: fold.images,
          previous: previous ?? null,
        };
        tables.count++;
        faults.push(...faultsOf(given, labels, classes));
        return { event, labels, seen: message } satisfies Divided;
      });
    /** Asks and waits for the answer. */
    const divide = (
      fold: Fold,
      limits: readonly number[],
      embed: (ofClass: number, position: number) => readonly number[],
      after?: Divided,
    ) =>
      Effect.gen(function* () {
        const cause = yield* extracted(fold, limits, embed, after);
        const start = seen.length;
        yield* publish(cause);
        return yield* dividedAfter(fold, cause, start, after?.labels);
      });

    return {
      ...{ name, patience, nc, js, jsm, bus, blobs, seen, progress, faults, tables },
      ...{ until, consumerInfo, idle, next, fold, put, publish, extracted, divide, dividedAfter },
    };
  });
export type Bench = Effect.Success<ReturnType<typeof makeBench>>;
export type BenchServices = Bus | Blobs | Connection | Scope.Scope;

/** Subject, message id and headers are those of the event. */
export const wellSent = ({ event, subject, id, headers }: Seen): Effect.Effect<void, ConformanceError> =>
  Effect.gen(function* () {
    if (!event) return yield* broken(`the message on ${subject} doesn't fit its schema`);
    yield* must(
      subject === subjectOf(event),
      `${event.type} is on ${subject} instead of ${subjectOf(event)}`,
    );
    yield* must(
      id === messageId(event),
      `the message id of ${event.type} is '${id}' instead of '${messageId(event)}'`,
    );
    const wanted = { "ce-specversion": "1.0", "ce-id": id, "ce-type": `subtaxa.${event.type}.v${event.v}` };
    for (const [header, value] of Object.entries(wanted)) {
      yield* must(
        headers[header] === value,
        `the header ${header} is '${headers[header]}' instead of '${value}'`,
      );
    }
  });
