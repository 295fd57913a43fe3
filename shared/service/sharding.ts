import { Blobs, Bus, type BusError, type Fact, type Outcome } from "@subtaxa/bus";
import {
  batchesIn,
  type BlobRef,
  CONTRACT_VERSION,
  divide,
  type Division,
  type Event,
  type Failure,
  type FoldEvent,
  isShardEvent,
  isShardOf,
  portionsOf,
  type Range,
  type RunProgress,
  type ShardEvent,
  stepOf,
  subjects,
} from "@subtaxa/contracts";
import { Effect, type Scope } from "effect";
import { hostname } from "node:os";
import { ownerOf, progressOf, scratchFile, timestamp } from "./handling.ts";

/** Names this process among the instances of its service. */
const instance = `${hostname()}-${Deno.pid}`;

type SpreadEvent = Extract<FoldEvent, { type: ShardEvent["of"] }>;

/** One portion of a step: which images of its list, and where the table of them goes. */
export interface Portion {
  readonly range: Range;
  readonly outputFile: string;
  readonly onProgress: (
    advance: Pick<RunProgress, "done" | "total" | "imagesPerSecond" | "secondsLeft">,
  ) => void;
}

/**
 * A step of a fold whose work can be done a range of images at a time, by whichever instances there are. The scope is that of
 * one message.
 */
export interface ShardedStep<E extends SpreadEvent, R> {
  /** How many images it is about, and how many the network takes at once. */
  readonly measure: (event: E) => Effect.Effect<
    Pick<Division, "images" | "batch">,
    Failure,
    R | Scope.Scope
  >;
  readonly work: (event: E, portion: Portion) => Effect.Effect<void, Failure, R | Scope.Scope>;
  /** Writes the rows of several portions' tables, one after the other, as one table. */
  readonly concatenate: (
    event: E,
    files: readonly string[],
    outputFile: string,
  ) => Effect.Effect<void, Failure, R | Scope.Scope>;
  /** What follows from the whole step's table, which lies in this file. */
  readonly finish: (event: E, file: string) => Effect.Effect<Outcome, Failure, R | Scope.Scope>;
  /** Classes to be named in its progress. */
  readonly splitting?: (event: E) => string[];
}

type Handling<R> = Effect.Effect<Outcome, Failure, R | Bus | Blobs>;

const nothing: Outcome = { events: [] };

const newestOf = (
  { runId, fold }: Pick<ShardEvent, "runId" | "fold">,
  shard: number,
): Effect.Effect<Fact | null, BusError, Bus> =>
  Effect.flatMap(Bus, (bus) => bus.newestFact(subjects.shard(runId, fold, shard)));

/** The newest fact of every shard of this event's work, by number; null for one that is not laid out yet. */
const shardsOf = (event: FoldEvent, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, shard) => shard),
    (shard) =>
      Effect.map(newestOf(event, shard), (fact) =>
        fact && isShardEvent(fact.event) && isShardOf(fact.event, event)
          ? { seq: fact.seq, event: fact.event }
          : null),
    { concurrency: "unbounded" },
  );

const isComplete = ({ division, shard, portions }: ShardEvent) =>
  portions.length >= portionsOf(division, shard).length;

/** The tables of all portions done so far of the work that this shard is part of. */
export const portionsDone = (
  event: FoldEvent,
  { division }: ShardEvent,
): Effect.Effect<readonly BlobRef[], BusError, Bus> =>
  Effect.map(
    shardsOf(event, division.shards),
    (known) => known.flatMap((fact) => fact?.event.portions ?? []),
  );

const progressFor = <E extends SpreadEvent, R>(step: ShardedStep<E, R>, event: E) => ({
  ...{ runId: event.runId, fold: event.fold, epoch: event.epoch, step: stepOf[event.type] },
  ...(step.splitting && { splitting: step.splitting(event) }),
});

/** Lays out the shards, those that are not yet, or does the work at once where it is no more than one portion. */
const begin = <E extends SpreadEvent, R>(step: ShardedStep<E, R>, event: E): Handling<R> =>
  Effect.gen(function* () {
    const { images, batch } = yield* step.measure(event);
    // what another version has begun to lay out stays as it is
    const [first] = yield* shardsOf(event, 1);
    const division = first?.event.division ?? divide(images, batch);
    const [whole, ...more] = portionsOf(division, 0);
    if (whole && more.length === 0 && division.shards === 1) {
      const outputFile = yield* scratchFile;
      const onProgress = yield* progressOf(progressFor(step, event));
      yield* step.work(event, { range: whole, outputFile, onProgress });
      return yield* step.finish(event, outputFile);
    }
    const at = yield* timestamp;
    const { runId, fold, epoch, type: of } = event;
    const known = yield* shardsOf(event, division.shards);
    const missing = known.flatMap((fact, shard): Event[] =>
      fact ? [] : [{
        ...{ v: CONTRACT_VERSION, type: "shard.advanced", at, runId, fold, epoch, of, shard, division },
        portions: [],
      }]
    );
    return { events: missing };
  }).pipe(Effect.scoped);

/** Does the next portion of a shard. */
const advance = <E extends SpreadEvent, R>(
  step: ShardedStep<E, R>,
  event: E,
  shard: ShardEvent,
): Handling<R> =>
  Effect.gen(function* () {
    const { division, portions } = shard;
    const ranges = portionsOf(division, shard.shard);
    const before = batchesIn(ranges.slice(0, portions.length), division.batch);
    const total = Math.ceil(division.images / division.batch);
    const send = yield* progressOf({
      ...progressFor(step, event),
      part: { shard: shard.shard, instance, images: division.batch },
    });
    const outputFile = yield* scratchFile;
    yield* step.work(event, {
      range: ranges[portions.length]!,
      outputFile,
      onProgress: ({ secondsLeft: _, ...advance }) =>
        send({ ...advance, done: before + advance.done, total }),
    });
    const portion = yield* (yield* Blobs).putFile(outputFile, ownerOf(event));
    const further: Event = {
      ...shard,
      at: yield* timestamp,
      portions: [...portions, portion],
      by: instance,
    };
    return { events: [further] };
  }).pipe(Effect.scoped);

/**
 * Puts the shards together if all are complete. Every shard asks when it is, and the one whose last fact came last goes on:
 * that one sees all others.
 */
const join = <E extends SpreadEvent, R>(
  step: ShardedStep<E, R>,
  event: E,
  { shard, division }: ShardEvent,
): Handling<R> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs;
    const known = yield* shardsOf(event, division.shards);
    const complete = known.filter((fact) => fact !== null).filter((fact) => isComplete(fact.event));
    const last = Math.max(...complete.map(({ seq }) => seq));
    if (complete.length < division.shards || known[shard]!.seq < last) return nothing;
    const portions = complete.flatMap(({ event }) => event.portions);
    const outputFile = yield* scratchFile;
    yield* step.concatenate(event, yield* Effect.forEach(portions, blobs.file), outputFile);
    const { events, obsolete = [] } = yield* step.finish(event, outputFile);
    return { events, obsolete: [...obsolete, ...portions] };
  }).pipe(Effect.scoped);

/** Handles a fact whose work is spread, or, with `shard`, one of its shards. */
export const inShards = <E extends SpreadEvent, R>(
  step: ShardedStep<E, R>,
  event: E,
  shard?: ShardEvent,
): Handling<R> => {
  if (!shard) return begin(step, event);
  return isComplete(shard) ? join(step, event, shard) : advance(step, event, shard);
};

/** A handler that is given a shard together with the fact that it belongs to: the newest of its fold, which says what to do. */
export const withShards =
  <R>(handle: (event: Event, shard?: ShardEvent) => Handling<R>) => (event: Event): Handling<R> => {
    if (!isShardEvent(event)) return handle(event);
    return Effect.gen(function* () {
      const whole = yield* (yield* Bus).newestFact(subjects.fold(event.runId, event.fold));
      // otherwise the shards were put together a moment ago
      return whole && isShardOf(event, whole.event) ? yield* handle(whole.event, event) : nothing;
    });
  };
