import { Blobs, Bus, Connection } from "@subtaxa/bus";
import {
  type BlobRef,
  type ClassState,
  CONTRACT_VERSION,
  decodeLabels,
  encodeFeatures,
  encodeImages,
  type Event,
  type EventOf,
  type EventType,
  type Features,
  type Images,
  initialFoldState,
  type Labels,
  messageId,
  RunRequest,
  specOf,
  subjectOf,
} from "@subtaxa/contracts";
import type { ConsumerInfo } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { Effect, type Scope } from "effect";
import { createHash } from "node:crypto";
import { broken, type ConformanceError, setup } from "./error.ts";
import type { Given } from "./answers.ts";
import { type Fault, faultsOf } from "./labels.ts";
import { messageFaults, traceparentOf } from "./messages.ts";
import { listen, type Seen } from "./wire.ts";

export const STREAM = "SUBTAXA";

/** How the candidate is configured, where the examination starts it. */
export interface Settings {
  /** Milliseconds. */
  readonly ackWait: number;
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

/** A message that the candidate is to act on. */
export interface Sent {
  readonly sequence: number;
  /** Number of messages seen before. */
  readonly start: number;
  readonly runId: string;
  readonly subject: string;
  readonly data: Uint8Array;
}

const traceOf = (runId: string) => createHash("sha256").update(runId).digest("hex").slice(0, 32);

/** The header ce-source of what the examination publishes itself. */
export const OWN_SOURCE = "/subtaxa/conformance";

/** Milliseconds that an answer may stay away after its message was settled. */
const LATENESS = 10_000;

/** Everything around a clusterer, as it looks from the clusterer's side. */
export const makeBench = (name: string, patience: number, settings: Settings | null) =>
  Effect.gen(function* () {
    const { nc, js, jsm } = yield* Connection;
    const bus = yield* Bus;
    const blobs = yield* Blobs;
    const wire = yield* listen(nc, STREAM);
    const { seen, settlements } = wire;
    const faults: Fault[] = [];
    /** What is wrong with messages, and with how they are settled. */
    const complaints = { messages: [] as string[], deadLetters: [] as string[], settling: [] as string[] };
    const tables = { count: 0 };
    /** How long dividing 4,000 embeddings takes. */
    const measured = { seconds: 1 };
    const featuresOf = new Map<string, Features>();
    /** The clusterer's durable consumer. */
    const consumerInfo = async (): Promise<ConsumerInfo | undefined> => {
      for await (const info of jsm.consumers.list(STREAM)) {
        const { filter_subject, filter_subjects = [] } = info.config;
        const filters = filter_subject === undefined ? filter_subjects : [filter_subject];
        if (filters.some((filter) => filter.startsWith(`subtaxa.features.extracted.${name}.`))) return info;
      }
    };

    /** What `ask` gives once it is not undefined; the sentence says what is wrong if it never does. */
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
          if (performance.now() > deadline) return yield* broken(`${what} within ${seconds} s`);
          yield* Effect.sleep("20 millis");
        }
      });

    /** All that was sent to the clusterer has been settled. */
    const idle = (seconds = patience) =>
      until("the messages on its route are not all acknowledged", async () => {
        const info = await consumerInfo();
        return info && info.num_pending === 0 && info.num_ack_pending === 0 ? info : undefined;
      }, seconds).pipe(
        // who acknowledges before it answers may still be at it
        Effect.tap(() =>
          Effect.sleep(complaints.settling.length > 0 ? 2_000 + 2_000 * measured.seconds : 200)
        ),
      );

    /** The candidate is at work on the message. */
    const taken = ({ sequence, runId }: Sent) => {
      const from = performance.now();
      return until("it doesn't take the message", async () => {
        if (wire.lookUps.has(runId) || settlements.some((one) => one.sequence === sequence)) return true;
        if (performance.now() - from < 300) return undefined; // it may be on its way
        const info = await consumerInfo();
        return info && info.num_ack_pending > 0 && info.delivered.stream_seq >= sequence ? true : undefined;
      });
    };

    /** Publishes a body on a subject, as a fact of a service that traces. */
    const send = (subject: string, data: Uint8Array, id?: string): Effect.Effect<Sent, ConformanceError> =>
      Effect.tryPromise({
        try: async () => {
          const runId = subject.split(".")[4]!;
          const start = seen.length;
          const h = headers();
          h.set("traceparent", traceparentOf(traceOf(runId)));
          h.set("ce-source", OWN_SOURCE);
          const { seq } = await js.publish(subject, data, { headers: h, ...(id ? { msgID: id } : {}) });
          return { sequence: seq, start, runId, subject, data };
        },
        catch: (cause) => setup(`a message can't be published: ${cause}`),
      });
    const publish = (event: Event) =>
      send(subjectOf(event), new TextEncoder().encode(JSON.stringify(event)), messageId(event));
    /** Whether the candidate published it, as a fact. */
    const isOwn = ({ subject, headers }: Seen) =>
      subject.startsWith("subtaxa.") && headers["ce-source"] !== OWN_SOURCE;
    /** Those that the candidate published for a run, after so many messages. */
    const publishedFor = (runId: string, start: number) =>
      seen.slice(start).filter((one) => one.subject.split(".")[4] === runId && isOwn(one));

    /** The candidate's answer of this type to a message; its subject and headers are noted down. */
    const answerTo = <T extends EventType>({ sequence, start, runId }: Sent, type: T) =>
      Effect.gen(function* () {
        let settledAt: number | null = null;
        const found = yield* until(`it doesn't answer ${type}`, () => {
          const mine = publishedFor(runId, start);
          const answer = mine.find(({ subject }) => subject.startsWith(`subtaxa.${type}.`));
          if (answer) return answer;
          const failed = mine.find(({ event }) => event?.type === "run.failed")?.event;
          if (failed?.type === "run.failed") {
            return `the run failed instead of ${type}: ${failed.error.message}`;
          }
          const settlement = wire.settled(sequence, "ack") ?? wire.settled(sequence, "term");
          if (!settlement) return undefined;
          settledAt ??= performance.now();
          const word = settlement.kind === "ack" ? "acknowledged" : "terminated";
          return performance.now() - settledAt > LATENESS
            ? `it ${word} the message, but never answered it`
            : undefined;
        }).pipe(
          Effect.catch((error) =>
            Effect.fail(
              settlements.some((one) => one.sequence === sequence)
                ? error
                : broken(`it never takes the message, or never answers it: ${error.message}`),
            )
          ),
        );
        if (typeof found === "string") return yield* broken(found);
        complaints.messages.push(...messageFaults(found, traceOf(runId)));
        if (found.event?.type !== type) {
          return yield* broken(`what it publishes as ${type} doesn't fit the schema`);
        }
        const early = wire.settled(sequence, "ack");
        if (early && early.place < found.place) {
          complaints.settling.push(`it acknowledges the message before it publishes ${type}`);
        }
        return { seen: found, event: found.event as EventOf<T> };
      });

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
        const table: Features = {
          image: Uint32Array.from(positions, (position) => images.image[position]!),
          values: Float32Array.from(rows.flat()),
          dimension: rows[0]?.length ?? 32,
        };
        // a step's own, as the extractor does it: the one before may still be being deleted
        const epoch = after ? after.event.epoch + 1 : head.epoch;
        const features = yield* put(encodeFeatures(table), `${head.runId}.${head.fold}.${epoch}`);
        featuresOf.set(features.key, table);
        return {
          ...head,
          type: "features.extracted",
          at: new Date().toISOString(),
          epoch,
          state: { ...state, classes: allowing(state.classes, limits) },
          features,
          images: yield* put(encodeImages(images)),
        };
      });

    /** What the candidate answers to `features.extracted`; the faults of its table are kept. */
    const dividedAfter = (
      fold: Fold,
      cause: EventOf<"features.extracted">,
      sent: Sent,
      previous?: Labels,
    ) =>
      Effect.gen(function* () {
        const { event, seen: message } = yield* answerTo(sent, "dataset.relabelled");
        const { labels: ref } = event.state;
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
          features: featuresOf.get(cause.features.key)!,
          normalisation: cause.spec.normalisation,
        };
        tables.count++;
        faults.push(...faultsOf(given, { event, labels, bytes, ref }));
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
        return yield* dividedAfter(fold, cause, yield* publish(cause), after?.labels);
      });

    /** Publishes, when it is called for the first time, what another instance might have answered. */
    const answerOfAnother = (cause: EventOf<"features.extracted">): () => void => {
      const { features: _, images, ...head } = cause;
      const event: Event = {
        ...{ ...head, type: "dataset.relabelled", changes: [], agreement: 1 },
        state: { ...cause.state, labels: images }, // nobody reads it
      };
      const h = headers();
      h.set("Nats-Msg-Id", messageId(event));
      h.set("ce-source", OWN_SOURCE);
      let done = false;
      return () => {
        if (!done) nc.publish(subjectOf(event), JSON.stringify(event), { headers: h });
        done = true;
      };
    };

    return {
      ...{ name, patience, settings, nc, js, jsm, bus, blobs, wire, seen, faults, complaints, tables },
      ...{ until, consumerInfo, idle, taken, fold, put, send, publish, isOwn, publishedFor },
      ...{ answerTo, answerOfAnother, extracted, divide, dividedAfter },
      measured,
    };
  });
export type Bench = Effect.Success<ReturnType<typeof makeBench>>;
export type BenchServices = Bus | Blobs | Connection | Scope.Scope;
